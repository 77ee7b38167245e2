/**
 * A MOCKS file: what stands for the app's functions and for the models of single nodes.
 *
 * Owns: reading it, and whether it fits the flow. Invariant: every problem is told at once, and nothing is run before.
 */
import type { Definition } from "../../engine/definition/schema.js";
import { nearest } from "../../engine/definition/suggest.js";
import type { Json } from "../../shared/json.js";
import { CliError } from "../command.js";
import { count, nameOfFile } from "../text.js";
import { readActionMock, type ActionMock } from "./actionMocks.js";
import { readLlmMock, type LlmMock } from "./llmMocks.js";
import { collectProblems, didYouMean, readObject, type Report } from "./problems.js";

export type Mocks = { actions: ReadonlyMap<string, ActionMock>; llm: ReadonlyMap<string, LlmMock> };

/**
 * Reads the mocks for a flow.
 * @param file - how the file is called in messages.
 * @throws {CliError} with every problem.
 */
export function readMocks(value: Json, file: string, { nodes }: Definition): Mocks {
  const { lines, report } = collectProblems();
  const llmNodes = Object.keys(nodes).filter((id) => nodes[id]?.type === "llm");
  const mocks = readObject(value, [], ["actions", "llm"], report) ?? {};
  const actions = readEntries(mocks.actions, "actions", readActionMock, report);
  const llm = readEntries(mocks.llm, "llm", readLlmMock, report);
  for (const id of llm.keys()) {
    if (!llmNodes.includes(id)) report(["llm", id], `the flow has no llm node of that id.${didYouMean(id, llmNodes)}`);
  }
  if (lines.length > 0) {
    throw new CliError(
      [`${nameOfFile(file)} has ${count(lines.length, "problem")}:`, ...lines.map((line) => `  ${line}`)].join("\n"),
    );
  }
  return {
    actions: actions as Map<string, ActionMock>,
    llm: llm as Map<string, LlmMock>,
  };
}

/** The entries of a part by name; null for one that has problems. */
function readEntries<T>(
  value: Json | undefined,
  part: string,
  read: (value: Json, path: string[], report: Report) => T | null,
  report: Report,
): Map<string, T | null> {
  const entries = value === undefined ? {} : (readObject(value, [part], null, report) ?? {});
  return new Map(Object.entries(entries).map(([name, entry]) => [name, read(entry, [part, name], report)]));
}

/** The actions that the flow calls, in its order. */
export function actionsOf({ nodes }: Definition): string[] {
  const names = Object.values(nodes).flatMap((node) => (node.type === "action" ? [node.action] : []));
  return [...new Set(names)];
}

/**
 * Every action that the flow calls has a mock: there is no app here that it could call instead.
 * @throws {CliError} with the missing names and with entries to paste.
 */
export function requireMocks(definition: Definition, { actions }: Mocks): void {
  const missing = actionsOf(definition).filter((name) => !actions.has(name));
  if (missing.length === 0) return;
  const similar = missing.flatMap((name) => {
    const near = nearest(name, actions.keys());
    return near === null ? [] : [`There is a mock for ${JSON.stringify(near)}; the flow says ${JSON.stringify(name)}.`];
  });
  const skeleton = { actions: Object.fromEntries(missing.map((name) => [name, { kind: "action", returns: null }])) };
  throw new CliError(
    [
      `The flow calls ${count(missing.length, "action")} without a mock: ${missing.join(", ")}.`,
      ...similar,
      "Put what each one returns into a file and pass it with --mocks:",
      JSON.stringify(skeleton, null, 2),
    ].join("\n"),
  );
}

/** Mocks that the flow never calls: likely a misspelt name. */
export function unusedMocks(definition: Definition, { actions }: Mocks): string[] {
  const used = actionsOf(definition);
  return [...actions.keys()].filter((name) => !used.includes(name));
}
