/**
 * One call of a language model, with the repair of answers that do not match their schema.
 *
 * Owns: what a model node gets back. Invariants: never throws; never retries a failed request (the engine does); usage
 * counts every request, also those of a call that failed in the end; nothing that leaves holds a key; when it returns,
 * no request, listener or timer of it is left. The entry of this folder: what others need is exported here.
 */
import { checkJsonSchema } from "../engine/jsonSchemaCheck.js";
import type { Json } from "../shared/json.js";
import { MAX_LLM_REPAIR_ATTEMPTS } from "../shared/limits.js";
import { nodeError, type NodeError } from "../shared/nodeError.js";
import type { ModelConfig } from "./config.js";
import { canceled, toModelError } from "./failure.js";
import { createModelFetch } from "./modelFetch.js";
import { connect, findModel, type GenerateOptions, type GenerateResult, type ModelTarget } from "./provider.js";
import { createScrubber, type Scrubber } from "./scrub.js";
import { askForJson, listProblems, readAnswer, withRepair, type ModelMessage } from "./structuredOutput.js";

export { MODEL_ENV_NAMES, readModelConfig, type ModelConfig } from "./config.js";
export { hostOfModel } from "./provider.js";
export type { ModelMessage } from "./structuredOutput.js";

export type ModelRequest = {
  /** `provider:name`. */
  model: string;
  messages: ModelMessage[];
  /** JSON Schema of the answer; null for text. */
  schema: Json | null;
  /** How often an answer that does not match the schema is sent back. */
  repairAttempts: number;
  maxOutputTokens: number | null;
  temperature: number | null;
};
/** Sums over all requests of the call. */
export type ModelUsage = {
  inputTokens: number;
  outputTokens: number;
  totalTokens: number;
  calls: number;
  latencyMs: number;
};
export type ModelResult =
  /** `output` is the text, or the JSON value that matches the schema. */
  | { ok: true; output: Json; usage: ModelUsage; finishReason: string }
  | { ok: false; error: NodeError; usage: ModelUsage };

export type ModelDeps = { config: ModelConfig; signal: AbortSignal; now: () => number; fetch?: typeof fetch };

export async function callModel(request: ModelRequest, deps: ModelDeps): Promise<ModelResult> {
  const usage: ModelUsage = { inputTokens: 0, outputTokens: 0, totalTokens: 0, calls: 0, latencyMs: 0 };
  const scrub = createScrubber(deps.config);
  const failed = (error: NodeError): ModelResult => ({
    ok: false,
    error: { ...error, message: scrub.own(error.message) },
    usage,
  });

  const target = findModel(request.model, deps.config);
  if ("code" in target) return failed(target);
  const { schema } = request;
  const schemaProblems = schema === null ? [] : checkJsonSchema(schema);
  if (schemaProblems.length > 0) {
    return failed(nodeError("MODEL_REQUEST_INVALID", `The schema cannot be used: ${schemaProblems.join("; ")}.`));
  }

  const caller: Caller = { target, request, scrub, usage, deps };
  const ask =
    schema === null ? { messages: request.messages, options: {} } : askForJson(request.messages, schema, target);
  const repairAttempts = Math.min(request.repairAttempts, MAX_LLM_REPAIR_ATTEMPTS);
  let { messages } = ask;
  for (let repairs = 0; ; repairs++) {
    const turn = await generate(caller, messages, ask.options);
    if (!turn.ok) return failed(turn.error);
    const { text, finishReason } = turn;
    if (schema === null) return { ok: true, output: scrub.output(text), usage, finishReason };
    const answer = readAnswer(text, schema);
    if (answer.ok) return { ok: true, output: scrub.output(answer.value), usage, finishReason };
    if (repairs >= repairAttempts) {
      const problems = listProblems(answer.problems, "; ");
      const message = `The answer of "${target.label}" does not match the schema (repair attempts: ${repairs}). ${problems}`;
      return failed(nodeError("MODEL_OUTPUT_INVALID", message));
    }
    messages = withRepair(ask.messages, text, answer.problems);
  }
}

type Caller = { target: ModelTarget; request: ModelRequest; scrub: Scrubber; usage: ModelUsage; deps: ModelDeps };
type Turn = { ok: true; text: string; finishReason: string } | { ok: false; error: NodeError };

/** One request. Adds to the usage of the caller. */
async function generate(caller: Caller, messages: ModelMessage[], options: Partial<GenerateOptions>): Promise<Turn> {
  const { target, request, scrub, usage, deps } = caller;
  if (deps.signal.aborted) return { ok: false, error: canceled(target.label) };
  let answered = false;
  const modelFetch = createModelFetch(deps.fetch ?? globalThis.fetch, deps.signal);
  const countedFetch: typeof fetch = async (input, init) => {
    usage.calls++;
    const response = await modelFetch(input, init);
    answered = true;
    return response;
  };
  const startedAt = deps.now();
  try {
    const result = await connect(target, countedFetch).doGenerate({
      ...options,
      prompt: messages.map(toPromptMessage),
      ...(request.maxOutputTokens === null ? {} : { maxOutputTokens: request.maxOutputTokens }),
      ...(request.temperature === null ? {} : { temperature: request.temperature }),
    });
    addTokens(usage, result);
    return readTurn(result, target, scrub);
  } catch (error) {
    return { ok: false, error: toModelError(error, answered, { target, scrub, now: deps.now }) };
  } finally {
    usage.latencyMs += Math.max(0, deps.now() - startedAt);
  }
}

function toPromptMessage({ role, content }: ModelMessage): GenerateOptions["prompt"][number] {
  return role === "system" ? { role, content } : { role, content: [{ type: "text", text: content }] };
}

function addTokens(usage: ModelUsage, result: GenerateResult): void {
  const input = result.usage.inputTokens.total ?? 0;
  const output = result.usage.outputTokens.total ?? 0;
  usage.inputTokens += input;
  usage.outputTokens += output;
  usage.totalTokens += input + output;
}

function readTurn(result: GenerateResult, { label }: ModelTarget, scrub: Scrubber): Turn {
  const finishReason = result.finishReason.unified;
  const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("");
  const refusal = finishReason === "content-filter" ? text : compatibleRefusal(result.response?.body);
  if (refusal !== null) {
    const cause = { message: scrub.foreign(refusal === "" ? "no reason given" : refusal) };
    const message = `The model "${label}" refused to answer, or a content filter stopped it.`;
    return { ok: false, error: nodeError("MODEL_REFUSED", message, { cause }) };
  }
  if (finishReason === "length") {
    const message = `The answer of the model "${label}" was cut at the token limit. Raise maxOutputTokens or ask for less.`;
    return { ok: false, error: nodeError("MODEL_LENGTH", message) };
  }
  if (text.trim() === "")
    return { ok: false, error: nodeError("MODEL_EMPTY", `The model "${label}" answered with nothing.`) };
  return { ok: true, text, finishReason };
}

/** The library for compatible providers drops the refusal of a chat completion. */
function compatibleRefusal(body: unknown): string | null {
  const choices = (body as { choices?: Array<{ message?: { refusal?: unknown } }> } | undefined)?.choices;
  const refusal = Array.isArray(choices) ? choices[0]?.message?.refusal : undefined;
  return typeof refusal === "string" && refusal !== "" ? refusal : null;
}
