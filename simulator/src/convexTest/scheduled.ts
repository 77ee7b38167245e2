/** Waiting for scheduled functions, while the test's own timers say when they are due. */
import { setTimeout as nodeSetTimeout } from "node:timers";
import type { Deployment } from "../engine/deployment.js";
import { outside } from "../runtime/ambientGlobals.js";

const realSetTimeout = nodeSetTimeout;
/** A job that was scheduled on the real clock, and is due there, has started after so many turns. */
const IDLE_TURNS = 20;

/** Runs what is scheduled, and what that schedules; `advanceTimers` lets it become due. */
export async function finishAll({ jobs }: Deployment, advanceTimers: () => void, maxIterations = 100): Promise<void> {
  const clock = outside("setTimeout");
  const advance = () => {
    if (outside("setTimeout") !== clock) {
      throw new Error(
        "finishAllScheduledFunctions: timers were restored or replaced while waiting for scheduled functions.",
      );
    }
    advanceTimers();
  };
  let idleTurns = 0;
  for (let i = 0; i < maxIterations; i++) {
    advance();
    if (jobs.running === 0) {
      if (jobs.waiting === 0 || idleTurns++ >= IDLE_TURNS) return;
      await turn();
      continue;
    }
    idleTurns = 0;
    let ended = false;
    const end = jobs.untilNoneRuns().then(() => void (ended = true));
    await Promise.race([end, turn()]);
    while (!ended) {
      advance();
      await Promise.race([end, turn()]);
    }
  }
  throw new Error(
    "finishAllScheduledFunctions: too many iterations. Check for functions that schedule each other without end, or " +
      "increase maxIterations.",
  );
}

function turn(): Promise<void> {
  return new Promise((resolve) => void realSetTimeout(resolve, 0));
}
