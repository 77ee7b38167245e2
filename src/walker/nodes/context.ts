/** What an executor of a node is given. */
import type { Evaluator } from "../../engine/expr/evaluate.js";
import type { SecretScope } from "../../engine/secrets.js";
import type { Scope, RunInfo } from "../memory.js";
import type { StretchPorts } from "../ports.js";
import type { Json } from "../../shared/json.js";

export type Binding = { kind: "query" | "mutation" | "action"; handle: string };

export type NodeContext = {
  scope: Scope;
  evaluator: Evaluator;
  ports: StretchPorts;
  run: RunInfo;
  binding(name: string): Binding | null;
  secrets: SecretScope;
  /** Aborted on timeout, cancel, and when the loop around is left. */
  signal: AbortSignal;
  /** Runs the app's mutation in the checkpoint's transaction; resolves to its output as JSON text. */
  commit(handle: string, args: Json): Promise<string>;
};
