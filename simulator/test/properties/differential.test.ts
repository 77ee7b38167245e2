/**
 * What a serial program sees is the same on the simulator as on convex-test, but for the cases in departures.test.ts.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { onConvexTest, onSimulator, traceOf } from "./support/drivers.js";
import { serialPrograms } from "./support/serialPrograms.js";

test("a serial program gives the same on both", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(serialPrograms, async (program) => {
      const expected = await traceOf(program, onConvexTest);
      expect(await traceOf(program, onSimulator)).toEqual(expected);
    }),
    { numRuns: 150, seed: 20_260_101 },
  );
});
