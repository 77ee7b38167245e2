/**
 * The demo's language model: keyword rules behind real HTTP, so that every run gives the same answers.
 *
 * It answers by what the prompt says, whoever asks and in which order. It refuses some prompts the first time with 429
 * and Retry-After, as providers do under load; an execution must come through that unharmed.
 */
import type { ModelServerAnswer, ModelServerRequest } from "../test/support/modelServer.js";

export type DemoModel = {
  answer: (request: ModelServerRequest) => ModelServerAnswer;
  /** Requests that were answered with 429. */
  readonly refused: number;
};

/** @param options - `sabotage`: sorts every ticket wrongly, to show that the demo notices. */
export function demoModel(options: { sabotage: boolean }): DemoModel {
  const seen = new Set<string>();
  let refused = 0;
  return {
    answer: ({ messages }) => {
      // Newer models are instructed by a `developer` message, older ones by a `system` message.
      const instructions = messages.find(({ role }) => role !== "user")?.content ?? "";
      const prompt = messages.find(({ role }) => role === "user")?.content ?? "";
      if (checksum(prompt) % 4 === 0 && !seen.has(prompt)) {
        seen.add(prompt);
        refused++;
        return { status: 429, headers: { "retry-after": "1" } };
      }
      const then: ModelServerAnswer = instructions.startsWith("You sort")
        ? { json: classify(prompt, options.sabotage) }
        : instructions.startsWith("You judge")
          ? { json: judge(prompt) }
          : { text: write(prompt) };
      return { delayMs: 20, then };
    },
    get refused() {
      return refused;
    },
  };
}

function classify(prompt: string, wrongly: boolean) {
  const category = /invoice|refund/i.test(prompt) ? "billing" : /error|crash/i.test(prompt) ? "bug" : "other";
  return {
    category: wrongly ? (category === "bug" ? "billing" : "bug") : category,
    urgent: /nobody can work/i.test(prompt),
    summary: /^Subject: (.*)$/m.exec(prompt)?.[1] ?? "",
  };
}

function write(prompt: string): string {
  const topic = /^Topic: (.*)$/m.exec(prompt)?.[1] ?? "";
  return `${topic}, draft ${draftNumber(/^Draft: .*$/m.exec(prompt)?.[0] ?? "") + 1}.`;
}

function judge(prompt: string) {
  const draft = draftNumber(prompt);
  return { score: /impossible/i.test(prompt) ? draft * 10 : draft * 20 + 40, advice: `Improve draft ${draft}.` };
}

function draftNumber(text: string): number {
  return Number(/, draft (\d+)\./.exec(text)?.[1] ?? 0);
}

/** FNV-1a. */
function checksum(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  // The low bits depend on the low bits of the characters only.
  return hash >>> 16;
}
