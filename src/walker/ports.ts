/**
 * What a stretch needs from the world: the only way the walker reaches a clock, randomness, the database, the app's
 * functions and models. The component implements it over an action context; tests over a recording fake.
 */
import type { Json } from "../shared/json.js";
import type { CommitReply, FinishedRun, Progress, Reply } from "../shared/checkpoint.js";
import type { PassError } from "../shared/nodeRun.js";
import type { NodeError } from "../shared/nodeError.js";
import type { StoredNodeError, Usage } from "../shared/values.js";

export type ModelMessage = { role: "system" | "user" | "assistant"; content: string };
export type ModelRequest = {
  model: string;
  messages: ModelMessage[];
  schema: Json | null;
  repairAttempts: number;
  maxOutputTokens: number | null;
  temperature: number | null;
};
export type ModelResult =
  { ok: true; output: Json; usage: Usage; finishReason: string } | { ok: false; error: NodeError; usage: Usage };

/** The run of a node bound to a mutation; its output and end are known only inside its transaction. */
export type CommittedRun = Omit<FinishedRun, "output" | "status" | "endedAt" | "port">;

export type PriorRun = { key: string; output: string | null; error: StoredNodeError | null };
export type PriorPass = { index: number; output: string | null; result: string | null; error: PassError | null };

export interface StretchPorts {
  now(): number;
  random(): number;
  /** Unique among the flushes of an execution. */
  newFlushId(): string;
  /** Calls back once; the returned function forgets the callback. */
  setTimer(callback: () => void, ms: number): () => void;

  checkpoint(progress: Progress): Promise<Reply>;
  /** Runs the app's mutation and the checkpoint in one transaction. Rejects with what the mutation threw. */
  commitUserMutation(progress: Progress, run: CommittedRun, handle: string, args: Json): Promise<CommitReply>;
  /** Whether the flush landed: asked after a reply was lost. */
  hasLanded(seq: number, flushId: string): Promise<boolean>;
  /** False when the execution was canceled or taken over. */
  isOwner(): Promise<boolean>;
  /** Tells the watchdog that the owner lives; false as above. */
  renew(): Promise<boolean>;

  callFunction(kind: "query" | "action", handle: string, args: Json): Promise<unknown>;
  callModel(request: ModelRequest, signal: AbortSignal): Promise<ModelResult>;
  /** Host that a model's requests go to, for secrets; null when the model is unknown. */
  modelHost(model: string): string | null;

  loadRuns(keys: string[]): Promise<PriorRun[]>;
  loadPasses(loopKey: string): Promise<PriorPass[]>;
  loadPayload(name: string): Promise<string | null>;
  loadInput(): Promise<string>;
  loadContext(): Promise<string | null>;

  log(level: "warn" | "error", message: string): void;
}
