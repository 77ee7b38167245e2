/** History: the same for equal seeds, complete enough to explain, bounded in what it keeps. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { api, startApp } from "../faults/app.js";
import { runProgram } from "./program.js";

const program = fileURLToPath(new URL("./program.ts", import.meta.url));

test("equal seeds give the same history, byte for byte, and other seeds another one", async () => {
  const first = await runProgram(5);
  expect(await runProgram(5)).toEqual(first);
  expect((await runProgram(6)).digest).not.toBe(first.digest);
  expect(new Set(first.injected.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(8);
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program, "--seed", "5"]);
  const { digest, text, events } = first;
  expect(JSON.parse(stdout)).toEqual({ digest, text, events });
});

test("it says who began when, read and wrote what, and lost to whom", async () => {
  const app = startApp({ seed: 2 });
  const id = (await app.mutation(api.app!.create!, { name: "a" })) as string;
  await app.loop.drive(Promise.all([0, 1].map(() => app.mutation(api.app!.increment!, { id }))));
  const text = app.history.toText();
  expect(text).toMatch(/begin +app:increment {2}mutation at \d+ attempt 2/);
  expect(text).toMatch(new RegExp(`conflict +app:increment {2}/counters:${id} in by_id by app:increment ts \\d+`));
  expect(text).toMatch(/mutation +app:increment {2}begin \d+ ts \d+ read \d+ written 2 intervals \/counters.by_id:1/);
  expect(text).toMatch(new RegExp(`commit +app:increment {2}\\d+ ~/counters:${id} \\+/effects:`));
  expect(app.history.toText(3).split("\n")).toHaveLength(4);
  expect(app.history.toText(3)).toContain(`(${app.history.count - 3} earlier events)`);
});

test("it tells the lives of jobs and actions, and the faults", async () => {
  const app = startApp({ faults: { plan: [{ kind: "killAction", point: "afterMutation" }] } });
  await app.mutation(api.app!.later!, { key: "k", kind: "action", ms: 0 });
  await app.loop.advance(1_000);
  const lines = app.history
    .toText()
    .split("\n")
    .map((line) => line.slice(19));
  const find = (start: string) => lines.findIndex((line) => line.startsWith(start));
  const order = [
    find("job       app:act  start"),
    find("job       app:act  inProgress"),
    find("action    app:act  started by"),
    find("fault     app:act  killAction afterMutation"),
    find("action    app:act  killed at afterMutation"),
    find("job       app:act  failed"),
  ];
  expect(order).not.toContain(-1);
  expect([...order].sort((a, b) => a - b)).toEqual(order);
});

test("what it keeps is bounded, and what it hashes is not", async () => {
  const run = async (keep: number, name: string) => {
    const app = startApp();
    app.history.keep = keep;
    await app.mutation(api.app!.create!, { name });
    const id = await app.mutation(api.app!.create!, { name: "a" });
    for (let i = 0; i < 50; i++) await app.mutation(api.app!.increment!, { id });
    return app.history;
  };
  const [short, long, other] = [await run(5, "a"), await run(10_000, "a"), await run(5, "")];
  expect(short.events.length).toBeLessThan(10);
  expect(long.events.length).toBe(long.count);
  expect(short.digest()).toBe(long.digest());
  expect(short.events).toEqual(long.events.slice(-short.events.length));
  expect(other.count).toBe(short.count);
});
