/**
 * The wire formats of the model server: reading a request and writing a complete answer.
 *
 * Owns: what OpenAI's chat completions and Anthropic's messages look like, as far as a client looks at them.
 */
import type { ModelServerAnswer, ModelServerRequest, ModelServerUsage } from "./modelServer.js";

/** The protocol that is spoken at a path; null at any other. */
export function protocolOf(path: string): "openai" | "anthropic" | null {
  if (path.endsWith("/chat/completions")) return "openai";
  return path.endsWith("/messages") ? "anthropic" : null;
}

type Complete = Extract<
  ModelServerAnswer,
  { text: string } | { json: unknown } | { refusal: string } | { length: string }
>;
type Protocol = {
  read(body: Record<string, unknown>): Pick<ModelServerRequest, "model" | "messages" | "schema">;
  answer(request: ModelServerRequest, answer: Complete): unknown;
  error(status: number): unknown;
};

export const PROTOCOLS: Record<"openai" | "anthropic", Protocol> = {
  openai: {
    read: (body) => ({
      model: String(body.model),
      messages: textMessages(body.messages),
      schema: at(body, "response_format", "json_schema", "schema") ?? null,
    }),
    answer: (request, answer) => {
      const { inputTokens, outputTokens } = usageOf(request, answer);
      const refusal = "refusal" in answer ? answer.refusal : null;
      return {
        id: `chatcmpl-${request.callNumber}`,
        object: "chat.completion",
        created: 0,
        model: request.model,
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: refusal === null ? textOf(answer) : null, refusal },
            finish_reason: "length" in answer ? "length" : "stop",
          },
        ],
        usage: {
          prompt_tokens: inputTokens,
          completion_tokens: outputTokens,
          total_tokens: inputTokens + outputTokens,
        },
      };
    },
    error: (status) => ({
      error: { message: `The server was told to answer ${status}.`, type: "scripted", code: null },
    }),
  },
  anthropic: {
    read: (body) => ({
      model: String(body.model),
      messages: [
        ...textMessages(body.system === undefined ? [] : [{ role: "system", content: body.system }]),
        ...textMessages(body.messages),
      ],
      schema: at(body, "output_config", "format", "schema") ?? at(body, "tools", 0, "input_schema") ?? null,
    }),
    answer: (request, answer) => {
      const { inputTokens, outputTokens } = usageOf(request, answer);
      // With a tool as the form of the answer, the answer is the tool's input.
      const isToolCall = "json" in answer && at(request.body, "tools", 0) !== undefined;
      const stopReason =
        "length" in answer ? "max_tokens" : "refusal" in answer ? "refusal" : isToolCall ? "tool_use" : "end_turn";
      const block = isToolCall
        ? {
            type: "tool_use",
            id: `toolu_${request.callNumber}`,
            name: at(request.body, "tools", 0, "name"),
            input: answer.json,
          }
        : { type: "text", text: textOf(answer) };
      return {
        id: `msg_${request.callNumber}`,
        type: "message",
        role: "assistant",
        model: request.model,
        content: [block],
        stop_reason: stopReason,
        stop_sequence: null,
        usage: { input_tokens: inputTokens, output_tokens: outputTokens },
      };
    },
    error: (status) => ({
      type: "error",
      error: { type: "scripted", message: `The server was told to answer ${status}.` },
    }),
  },
};

function at(value: unknown, ...path: Array<string | number>): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<string | number, unknown> | null | undefined)?.[key],
    value,
  );
}

/** Contents are texts, or lists of blocks of which those of type text count. */
function textMessages(messages: unknown): ModelServerRequest["messages"] {
  return (messages as Array<{ role: string; content: unknown }>).map(({ role, content }) => ({
    role,
    content:
      typeof content === "string"
        ? content
        : (content as Array<{ text?: string }>).map(({ text }) => text ?? "").join(""),
  }));
}

function textOf(answer: Complete): string {
  if ("json" in answer) return JSON.stringify(answer.json);
  if ("refusal" in answer) return answer.refusal;
  return "length" in answer ? answer.length : answer.text;
}

function usageOf(request: ModelServerRequest, answer: Complete): ModelServerUsage {
  if ("usage" in answer && answer.usage !== undefined) return answer.usage;
  const words = (text: string): number => text.split(/\s+/).filter(Boolean).length;
  const inputTokens = request.messages.reduce((sum, { content }) => sum + words(content), 0);
  return { inputTokens, outputTokens: words(textOf(answer)) };
}
