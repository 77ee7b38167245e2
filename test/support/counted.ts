/** Abort signals and response bodies that tell how much of them is open, and are otherwise as they were. */

type Count = (change: 1 | -1) => unknown;

/** The same response, whose body counts as open until it has been read to its end or canceled. */
export function watchedBody(response: Response, count: Count): Response {
  if (response.body === null) return response;
  count(1);
  let open = true;
  const close = () => {
    if (open) count(-1);
    open = false;
  };
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    pull: async (stream) => {
      const { done, value } = await reader.read();
      if (!done) return stream.enqueue(value);
      close();
      stream.close();
    },
    cancel: async (reason) => {
      close();
      await reader.cancel(reason);
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

/** Controllers on whose signals every listener counts until it is removed, or has been called when it was for once. */
export function countedControllers(Controller: typeof AbortController, count: Count): typeof AbortController {
  return class extends Controller {
    constructor() {
      super();
      const { signal } = this;
      const listeners = new Set<unknown>();
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = ((type: string, listener: EventListener, options?: AddEventListenerOptions) => {
        if (!listeners.has(listener)) count(1);
        listeners.add(listener);
        add(type, listener, options);
        const forget = () => listeners.delete(listener) && count(-1);
        if (options?.once === true) add(type, forget, { once: true });
      }) as typeof signal.addEventListener;
      signal.removeEventListener = ((type: string, listener: EventListener) => {
        if (listeners.delete(listener)) count(-1);
        remove(type, listener);
      }) as typeof signal.removeEventListener;
    }
  };
}
