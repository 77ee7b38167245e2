/**
 * A model provider on this machine: real HTTP, scripted answers.
 *
 * Speaks OpenAI's chat completions (which compatible providers speak too) and Anthropic's messages, picked by the path
 * of the request, so one server can stand for all of them. Every answer comes from the `answer` function; the server
 * adds no randomness, keeps a log of what it was asked, and counts what clients leave open.
 *
 * @example
 * const server = await startModelServer({ answer: ({ messages }) => ({ text: `You said: ${messages.at(-1)?.content}` }) });
 * // OPENAI_BASE_URL = ANTHROPIC_BASE_URL = server.url
 * await server.close();
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { PROTOCOLS, protocolOf } from "./modelProtocols.js";

export type ModelServerRequest = {
  /** The protocol that was spoken. */
  provider: "openai" | "anthropic";
  model: string;
  /** Text only, in order; Anthropic's separate system prompt comes first. */
  messages: Array<{ role: string; content: string }>;
  /** The JSON Schema of the answer that the request holds, in whichever form the protocol has for it. */
  schema: unknown;
  /** 1 for the first request of this server. */
  callNumber: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** The whole body as it was sent. */
  body: Record<string, unknown>;
};

export type ModelServerUsage = { inputTokens: number; outputTokens: number };

export type ModelServerAnswer =
  /** A complete answer. Without `usage` the words of messages and answer are counted. */
  | { text: string; usage?: ModelServerUsage }
  /** A complete answer that is JSON, in the protocol's form for answers with a schema. */
  | { json: unknown; usage?: ModelServerUsage }
  /** The model refused to answer. */
  | { refusal: string }
  /** An answer that was cut at the token limit. */
  | { length: string }
  /** Any HTTP answer. A body that is not text is sent as JSON; without one the protocol's error body is sent. */
  | { status: number; headers?: Record<string, string>; body?: unknown }
  /** No answer: `true` sends nothing, "body" sends headers and half of an answer. Ends when the client gives up. */
  | { hang: true | "body" }
  /** The connection is closed without an answer: `true` at once, "body" after half of one. */
  | { drop: true | "body" }
  /** Another answer, later. */
  | { delayMs: number; then: ModelServerAnswer };

export type ModelServerOptions = {
  answer: (request: ModelServerRequest) => ModelServerAnswer | Promise<ModelServerAnswer>;
  /** 0, the default, takes a free port. */
  port?: number;
};

export type ModelServer = {
  /** Base URL for every provider, without a slash at the end. */
  readonly url: string;
  /** Every request, oldest first. */
  readonly requests: readonly ModelServerRequest[];
  readonly calls: number;
  /** Requests whose answer has not ended. */
  readonly openRequests: number;
  /** The most requests that were open at once. */
  readonly maxOpenRequests: number;
  /** Connections that have carried a request and are open. Clients keep some for the next request. */
  readonly openConnections: number;
  /** Requests that the client gave up before their answer had ended. */
  readonly abortedRequests: number;
  /** Ends all connections and pending answers. */
  close(): Promise<void>;
};

export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const requests: ModelServerRequest[] = [];
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const counts = { open: 0, maxOpen: 0, aborted: 0 };

  const send = (answer: ModelServerAnswer, request: ModelServerRequest, response: ServerResponse): void => {
    if ("then" in answer) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        send(answer.then, request, response);
      }, answer.delayMs);
      timers.add(timer);
      response.once("close", () => clearTimeout(timer));
    } else if ("hang" in answer) {
      if (answer.hang === "body") startBody(response);
    } else if ("drop" in answer) {
      if (answer.drop === "body") startBody(response);
      // After the bytes are out, so that the client sees a broken body and not a refused connection.
      setImmediate(() => response.socket?.destroy());
    } else if ("status" in answer) {
      const body = answer.body ?? PROTOCOLS[request.provider].error(answer.status);
      const text = typeof body === "string" ? body : JSON.stringify(body);
      response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers }).end(text);
    } else {
      const body = PROTOCOLS[request.provider].answer(request, answer);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    }
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { socket } = incoming;
    if (!sockets.has(socket)) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    counts.open++;
    counts.maxOpen = Math.max(counts.maxOpen, counts.open);
    response.once("close", () => {
      counts.open--;
      if (!response.writableFinished) counts.aborted++;
    });
    const provider = protocolOf(incoming.url ?? "");
    const body = await readJson(incoming);
    if (provider === null || body === null) return void response.writeHead(404).end();
    const request = {
      ...PROTOCOLS[provider].read(body),
      provider,
      callNumber: requests.length + 1,
      headers: headersOf(incoming),
      body,
    };
    requests.push(request);
    send(await options.answer(request), request, response);
  };

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      // A script that throws is a mistake in the test or demo: show it where it is looked for.
      if (!response.headersSent) response.writeHead(500).end(JSON.stringify({ error: { message: String(error) } }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get calls() {
      return requests.length;
    },
    get openRequests() {
      return counts.open;
    },
    get maxOpenRequests() {
      return counts.maxOpen;
    },
    get openConnections() {
      return sockets.size;
    },
    get abortedRequests() {
      return counts.aborted;
    },
    close: () =>
      new Promise((resolve) => {
        for (const timer of timers) clearTimeout(timer);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function startBody(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.write('{"id":"half-an-answer",');
}

async function readJson(incoming: IncomingMessage): Promise<Record<string, unknown> | null> {
  let text = "";
  incoming.setEncoding("utf8");
  for await (const chunk of incoming) text += String(chunk);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function headersOf(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
}
