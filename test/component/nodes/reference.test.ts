/** The real component against a naive interpreter: a few dozen random definitions come to the same, run by run. */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { Definition } from "../../../src/engine/definition/schema.js";
import type { Json } from "../../../src/shared/json.js";
import { definitions, inputs } from "../../support/arbitraries/definitions.js";
import { comparable, expected } from "../../support/comparing.js";
import { GENERATED_ACTIONS, prepared } from "../../support/generatedApp.js";
import { preload, startWorld, type NodeWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const generated = fc.tuple(definitions({ actions: GENERATED_ACTIONS }).map(prepared), inputs());
const SAMPLE = 60;

/** Compares an execution that has ended; returns how it ended, or that its order cannot be told. */
async function compare(world: NodeWorld, id: string, definition: Definition, input: Json): Promise<string> {
  const runs = await world.runsOf(id);
  const { status, output, error } = await world.status(id);
  const { isTimingDependent, ...reference } = expected(definition, input, runs);
  if (isTimingDependent) return "timing";
  const variables = JSON.parse((await world.describe(id)).variables!) as Json;
  const result = output === undefined ? null : (JSON.parse(output) as Json);
  const found = comparable({ status, output: result, code: error?.code ?? null, variables }, runs);
  expect(found, JSON.stringify([definition, input])).toEqual(reference);
  expect(new Set(runs.map(({ key }) => key)).size).toBe(runs.length);
  return status;
}

test("random definitions come to what they are to come to", { timeout: 60_000 }, async () => {
  const world = await startWorld();
  const sample = fc.sample(generated, { seed: 41, numRuns: SAMPLE });
  const ids = [];
  for (const [i, [definition, input]] of sample.entries()) {
    await world.publish({ ...definition, name: `generated${i}` });
    ids.push(await world.start(`generated${i}`, input));
  }
  for (const id of ids) await world.untilEnded(id);
  const ends = [];
  for (const [i, [definition, input]] of sample.entries()) ends.push(await compare(world, ids[i]!, definition, input));
  expect(ends.filter((end) => end === "succeeded").length).toBeGreaterThan(SAMPLE / 3);
  expect(ends.filter((end) => end === "failed").length).toBeGreaterThan(5);
  expect(ends.filter((end) => end === "timing").length).toBeLessThan(SAMPLE / 6);

  // A mutation takes effect with its record or not at all.
  const stored = (await world.calls()).filter(({ fn }) => fn === "store" || fn === "refuse").length;
  let recorded = 0;
  for (const [i, [definition]] of sample.entries()) {
    for (const { node, status } of await world.runsOf(ids[i]!)) {
      const source = definition.nodes[node];
      const isMutation = source?.type === "action" && (source.action === "store" || source.action === "refuse");
      if (isMutation && status === "succeeded") recorded++;
    }
  }
  expect(stored).toBe(recorded);
  expect(stored).toBeGreaterThan(10);
  await world.untilQuiet();
});
