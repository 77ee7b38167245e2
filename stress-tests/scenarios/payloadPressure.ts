/** Large values: every input is far too large for a row, and comes back as part of the result. */
import { seededRandom } from "../lib/random.js";
import type { Scenario } from "../lib/scenario.js";

/** In turn: just too large for a row, large, and too large for one document. */
const CHARACTERS = [10_000, 100_000, 800_000] as const;
/** One to three bytes each, and some that JSON escapes: about 1.4 bytes per character. */
const ALPHABET = 'abc xyz 0189 "\\\n\t{}\u00e4\u00df\u20ac\u4e2d';

export const payloadPressure: Scenario = {
  name: "payload-pressure",
  question: "Do large inputs and results come through every node unharmed?",
  thresholds: ["every execution succeeds in time, with the right result and each node run recorded once"],
  failureMeans: "A value was cut, changed or refused on its way: look at the payloads, and at the limits of values.",
  load: { total: 6, concurrency: 3, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 60_000 },
  definition: {
    name: "stress-payload-pressure",
    nodes: {
      start: { type: "trigger", next: { success: "measure" } },
      measure: {
        type: "action",
        action: "stress.measure",
        args: { text: "{{ input.text }}" },
        next: { success: "keep" },
      },
      keep: { type: "set", values: { copy: "{{ input.text }}" }, next: { success: "work" } },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: 100, fail: "{{ input.fail }}" },
        next: { success: "done" },
      },
      done: { type: "output", value: { text: "{{ vars.copy }}", measured: "{{ nodes.measure.output }}" } },
    },
  },
  phases: [{ name: "large values", settings: { activeShards: 4, maxParallelism: 25 } }],
  input: (index) => ({ text: textOf(index) }),
  output: (index) => {
    const text = textOf(index);
    return { text, measured: { characters: text.length, checksum: checksumOf(text) } };
  },
  nodeRunKeys: () => ["start", "measure", "keep", "work", "done"],
  judge: () => [],
};

/** Different for every execution, so that none can be given another's. */
function textOf(index: number): string {
  const random = seededRandom(index);
  const length = CHARACTERS[index % CHARACTERS.length];
  return Array.from({ length }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join("");
}

/** As `stress.measure` of the app has it. */
function checksumOf(text: string): number {
  let checksum = 0;
  for (let i = 0; i < text.length; i++) checksum = (Math.imul(checksum, 31) + text.charCodeAt(i)) >>> 0;
  return checksum;
}
