/**
 * When a run ends before its execution does: after its time, or on Ctrl-C.
 *
 * Invariant: the first Ctrl-C cancels the execution, so that its report is still printed; a second one ends the process.
 */
export type Stop = { note: string; interrupted: boolean };

export type Stopper = {
  /** Starts the clock; settles when the execution is to be canceled. */
  wait: () => Promise<Stop>;
  clear: () => void;
};

export function createStopper(timeoutMs: number): Stopper {
  let timer: NodeJS.Timeout | undefined;
  let onInterrupt: (() => void) | undefined;
  return {
    wait: () =>
      new Promise((resolve) => {
        const note = `Canceled after ${timeoutMs / 1000} s; --timeout gives it longer.`;
        timer = setTimeout(() => resolve({ note, interrupted: false }), timeoutMs);
        onInterrupt = () => resolve({ note: "Canceled by an interrupt.", interrupted: true });
        process.once("SIGINT", onInterrupt);
      }),
    clear: () => {
      clearTimeout(timer);
      if (onInterrupt !== undefined) process.off("SIGINT", onInterrupt);
    },
  };
}
