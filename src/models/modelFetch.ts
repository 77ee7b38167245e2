/**
 * The fetch that providers are called with.
 *
 * Owns: how one HTTP exchange begins and ends. Invariants: an abort ends it at once, whether or not the runtime's fetch
 * heeds signals; when it has ended, the body is read or canceled and nothing is left on the caller's signal; answers
 * are bounded; redirects are not followed, since a runtime takes only `Authorization` off, not other key headers.
 */
import { KB, MAX_MODEL_RESPONSE_BYTES } from "../shared/limits.js";

const MAX_ERROR_BODY_BYTES = 64 * KB;

export type HttpFailureReason = "aborted" | "network" | "redirect" | "tooLarge" | "status";

/**
 * Why an exchange gave no answer. It travels through the provider library to the code that called it, and no further:
 * every one becomes a node error there.
 */
export class HttpFailure extends Error {
  readonly reason: HttpFailureReason;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;

  constructor(
    reason: HttpFailureReason,
    details: { text?: string; status?: number; headers?: Headers; body?: string } = {},
  ) {
    super(details.text ?? reason);
    this.name = "HttpFailure";
    this.reason = reason;
    this.status = details.status ?? 0;
    this.headers = details.headers ?? new Headers();
    this.body = details.body ?? "";
  }
}

/**
 * Wraps `fetchFn` for one exchange after another under one signal.
 * The response it gives is complete: its body is in memory. Anything but a 2xx is thrown as an {@link HttpFailure}.
 */
export function createModelFetch(fetchFn: typeof fetch, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    if (signal.aborted) throw new HttpFailure("aborted");
    const exchange = new Exchange(fetchFn);
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => {
        exchange.stop();
        reject(new HttpFailure("aborted"));
      };
    });
    signal.addEventListener("abort", onAbort);
    try {
      return await Promise.race([exchange.run(input, init), aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };
}

class Exchange {
  /** Not the caller's signal: runtimes leave their listener on the one they are given. */
  private readonly controller = new AbortController();
  private readonly fetchFn: typeof fetch;
  private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;

  constructor(fetchFn: typeof fetch) {
    this.fetchFn = fetchFn;
  }

  /** Ends the exchange wherever it is. Safe at any time, also after its end. */
  stop(): void {
    this.controller.abort();
    // A body that failed or was canceled already has nothing left to cancel.
    this.reader?.cancel().catch(() => undefined);
  }

  async run(input: RequestInfo | URL, init: RequestInit | undefined): Promise<Response> {
    const response = await this.send(input, init);
    this.reader = response.body?.getReader() ?? null;
    // The abort may have come while a fetch that does not heed signals was under way.
    if (this.controller.signal.aborted) throw this.stopped("aborted");
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      throw this.stopped("redirect", response);
    }
    if (!response.ok) {
      const body = await this.read(MAX_ERROR_BODY_BYTES).catch(() => "");
      throw new HttpFailure("status", { status: response.status, headers: response.headers, body });
    }
    return new Response(await this.read(MAX_MODEL_RESPONSE_BYTES), { status: 200 });
  }

  private async send(input: RequestInfo | URL, init: RequestInit | undefined): Promise<Response> {
    try {
      return await this.fetchFn(input, { ...init, redirect: "manual", signal: this.controller.signal });
    } catch (error) {
      throw new HttpFailure("network", { text: networkText(error) });
    }
  }

  private async read(maxBytes: number): Promise<string> {
    if (this.reader === null) return "";
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await this.nextChunk(this.reader);
      if (done) return decode(chunks, size);
      size += value.byteLength;
      if (size > maxBytes) throw this.stopped("tooLarge");
      chunks.push(value);
    }
  }

  private async nextChunk(
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<ReadableStreamReadResult<Uint8Array>> {
    try {
      return await reader.read();
    } catch (error) {
      throw new HttpFailure("network", { text: networkText(error) });
    }
  }

  private stopped(reason: HttpFailureReason, response?: Response): HttpFailure {
    this.stop();
    return new HttpFailure(reason, response === undefined ? {} : { status: response.status });
  }
}

function decode(chunks: Uint8Array[], size: number): string {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return new TextDecoder().decode(bytes);
}

/** Runtimes put what happened into the cause, behind a message such as "fetch failed". */
function networkText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? `${error.message}: ${cause.message}` : error.message;
}
