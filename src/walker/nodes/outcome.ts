/** What running a node comes to, before retries, ports and loops are decided. */
import type { Json, JsonObject } from "../../shared/json.js";
import type { NodeError } from "../../shared/nodeError.js";
import type { Usage } from "../../shared/values.js";

export type NodeOutcome =
  /** The node ended through a port. */
  | { kind: "exit"; port: string; output: Json; usage?: Usage; variables?: JsonObject }
  /** The node's run is already written, by the transaction that ran the app's mutation. */
  | { kind: "committed"; port: string; output: Json }
  | { kind: "fail"; error: NodeError; usage?: Usage }
  /** Nothing was tried: the function is missing or Convex had no room. Waits without counting an attempt. */
  | { kind: "refused"; error: NodeError }
  /** A loop is entered; null items: it repeats until its condition holds. */
  | { kind: "enter"; items: Json[] | null; carry: JsonObject | null };

export const exit = (port: string, output: Json): NodeOutcome => ({ kind: "exit", port, output });
export const fail = (error: NodeError): NodeOutcome => ({ kind: "fail", error });
