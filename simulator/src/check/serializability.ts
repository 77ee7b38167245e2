/**
 * Both checks of a recorded history. They share nothing but the record: one looks for a cycle among dependencies and does
 * not care for timestamps, the other runs everything again in the order of commits.
 */
import type { Deployment } from "../engine/deployment.js";
import { checkDependencies } from "./graph.js";
import type { Recorder, Violation } from "./recorder.js";
import { checkReplay } from "./replay.js";

/** @param fresh - a new deployment of the same app without latencies, on which nothing has happened. */
export async function checkSerializability(recorder: Recorder, fresh: Deployment): Promise<Violation[]> {
  const history = recorder.history();
  return [...checkDependencies(history), ...(await checkReplay(history, recorder.deployment, fresh))];
}
