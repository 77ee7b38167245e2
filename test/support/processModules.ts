/** The modules of the component's actions, each call of which is a {@link StretchProcess}. */
import type { ActionCtx } from "../../src/component/_generated/server.js";
import shardflow from "../../src/test.js";
import { StretchProcess, type Kernel } from "./stretchProcess.js";

type Fence = { executionId: string };
/** The actions of the component. Processes and awaits are named by the execution, or by the first of several. */
const ACTIONS = [
  {
    path: "./component/stretch.ts",
    name: "runStretch",
    owner: (args: unknown) => (args as { fence: Fence }).fence.executionId,
  },
  {
    path: "./component/host.ts",
    name: "runStretches",
    owner: (args: unknown) => `host of ${(args as { fences: Fence[] }).fences[0]?.executionId}`,
  },
];

/** Modules to register in place of the component's own; each process is added to the list when it starts. */
export function processModules(kernel: Kernel, processes: StretchProcess[]): Record<string, () => Promise<unknown>> {
  const spawn = (owner: string, name: string) => {
    const process = new StretchProcess(owner, name, kernel);
    processes.push(process);
    return process;
  };
  return Object.fromEntries(
    ACTIONS.map(({ path, name, owner }) => [
      path,
      async () => await asProcesses(path, name, (args) => spawn(owner(args), name)),
    ]),
  );
}

async function asProcesses(
  path: string,
  name: string,
  spawn: (args: unknown) => StretchProcess,
): Promise<Record<string, unknown>> {
  const load = shardflow.modules[path];
  if (load === undefined) throw new Error(`the component has no module ${path}`);
  // A registered function holds its handler under a name that its type leaves out.
  type Registered = { _handler(ctx: ActionCtx, args: unknown): Promise<unknown> };
  const original = (await load()) as Record<string, Registered>;
  const action = original[name]!;
  const _handler = async (ctx: ActionCtx, args: unknown) =>
    await spawn(args).run(async (inner) => await action._handler(inner, args), ctx);
  return { ...original, [name]: Object.assign(() => undefined, action, { _handler }) };
}
