/**
 * The models of mocked llm nodes: a provider on this machine that speaks OpenAI's chat completions.
 *
 * Owns: which answer comes next. A request does not say which node asks, so every node has a base URL of its own, and
 * its requests reach the engine's own model code: retries, Retry-After, repairs and token counts are as with any other
 * provider. Tokens are words, so that they are the same in every run.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import type { Answer, LlmMock } from "./llmMocks.js";

export type ModelServer = {
  baseUrlOf: (node: string) => string;
  close: () => void;
};

type Message = { role: string; content: string };

export async function startModelServer(mocks: ReadonlyMap<string, LlmMock>): Promise<ModelServer> {
  const asked = new Map<string, number>();

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const node = decodeURIComponent(request.url?.split("/")[1] ?? "");
    const mock = mocks.get(node);
    const body = await readJson(request);
    if (mock === undefined || !isJsonObject(body)) return void response.writeHead(404).end();
    const number = (asked.get(node) ?? 0) + 1;
    asked.set(node, number);
    const messages = messagesOf(body);
    send(response, body.model ?? null, messages, answerTo(mock, number, messages) ?? noPattern(node));
  };

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      response.writeHead(400).end(JSON.stringify({ error: { message: String(error) } }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrlOf: (node) => `http://127.0.0.1:${port}/${encodeURIComponent(node)}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What is said to the request with this number; undefined when no pattern matches. */
export function answerTo(mock: LlmMock, number: number, messages: readonly Message[]): Answer | undefined {
  if (mock.kind === "list") return mock.answers[Math.min(number, mock.answers.length) - 1];
  const prompt = messages
    .filter(({ role }) => role === "user")
    .map(({ content }) => content)
    .join("\n");
  return mock.patterns.find(({ match }) => match.test(prompt))?.answer;
}

/** A request that is wrong is not tried again. The prompt is not quoted: it may hold secrets. */
function noPattern(node: string): Answer {
  return { status: 400, message: `No pattern of llm.${node} in the mocks matches the prompt.` };
}

function send(response: ServerResponse, model: Json, messages: readonly Message[], answer: Answer): void {
  if ("status" in answer) {
    const { status, message, code = null, retryAfter } = answer;
    response
      .writeHead(status, {
        "content-type": "application/json",
        ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
      })
      .end(JSON.stringify({ error: { message, type: "mocked", code } }));
    return;
  }
  const prompt_tokens = messages.reduce((sum, { content }) => sum + words(content), 0);
  const completion_tokens = words(answer.text);
  response.writeHead(200, { "content-type": "application/json" }).end(
    JSON.stringify({
      id: "chatcmpl-mocked",
      object: "chat.completion",
      created: 0,
      model,
      choices: [{ index: 0, message: { role: "assistant", content: answer.text }, finish_reason: "stop" }],
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    }),
  );
}

const words = (text: string): number => text.split(/\s+/).filter(Boolean).length;

/** Contents are texts, or lists of blocks of which those of type text count. */
function messagesOf({ messages }: JsonObject): Message[] {
  if (!Array.isArray(messages)) return [];
  return messages.filter(isJsonObject).map(({ role, content }) => ({
    role: textOf(role),
    content: Array.isArray(content) ? content.map(blockText).join("") : textOf(content),
  }));
}

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const blockText = (block: Json): string => (isJsonObject(block) ? textOf(block.text) : "");

async function readJson(request: IncomingMessage): Promise<Json> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text) as Json;
}
