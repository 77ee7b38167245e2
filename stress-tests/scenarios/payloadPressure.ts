/** Large values: every input is far too large for a row, and comes back as part of the result. */
import type { Scenario } from "../lib/scenario.js";

/** Lines of about 40 bytes, in turn: just too large for a row, large, and too large for one document. */
const LINES = [300, 3_000, 30_000] as const;
/** Characters of one to three bytes, and some that JSON escapes. */
const TEXT = 'abc xyz 0189 "\\\n\t{}\u00e4\u00df\u20ac\u4e2d';

export const payloadPressure: Scenario = {
  name: "payload-pressure",
  question: "Do large inputs and results come through every node unharmed?",
  thresholds: [],
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

/** No line is like another, in this execution or any other: none can be lost, moved or swapped unseen. */
function textOf(index: number): string {
  return Array.from({ length: LINES[index % LINES.length] ?? 0 }, (_, line) => `${index}/${line} ${TEXT}`).join("");
}

/** As `stress.measure` of the app has it. */
function checksumOf(text: string): number {
  let checksum = 0;
  for (let i = 0; i < text.length; i++) checksum = (Math.imul(checksum, 31) + text.charCodeAt(i)) >>> 0;
  return checksum;
}
