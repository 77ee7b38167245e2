/**
 * The compiled plan of a version: what the walker runs.
 *
 * Owns: the shape only. Written by compile.ts at publish, stored as JSON text with the version, read by the walker.
 * A plan is self-contained: it holds no reference to the definition it came from. Change {@link PLAN_FORMAT} whenever
 * the shape or its meaning changes; a stored plan of another format is compiled again from the source.
 */
import type { ErrorClass } from "../shared/errors.js";
import type { Json } from "../shared/json.js";

export const PLAN_FORMAT = 1;

/** A value of the definition in which `{{ expr }}` stands for data. */
export type Template =
  /** Holds no expression anywhere below. */
  | { kind: "literal"; value: Json }
  /** `{{ expr }}` alone: keeps the type of its value. */
  | { kind: "expression"; source: string }
  /** Text with expressions in it: always a string. */
  | { kind: "text"; parts: Array<string | { source: string }> }
  | { kind: "array"; items: Template[] }
  | { kind: "object"; entries: Array<[string, Template]> };

/** What the expressions of a node read, so that nothing else is loaded for it. */
export type Reads = {
  /** Ids of the nodes whose output or error is read. */
  nodes: string[];
  input: boolean;
  vars: boolean;
  context: boolean;
};

export type RetryPolicy = {
  /** Tries in all; 1 means no retry. */
  maxAttempts: number;
  initialMs: number;
  factor: number;
  /** Longest delay before jitter. */
  maxMs: number;
  /** Error classes that are tried again. */
  on: ErrorClass[];
};

type NodeCommon = {
  id: string;
  /** The innermost loop whose body holds this node, or null. */
  loop: string | null;
  /** Port -> next node. A port that is absent ends the pass (in a body) or the execution. */
  next: Record<string, string>;
  retry: RetryPolicy;
  timeoutMs: number;
  reads: Reads;
};

export type TriggerNode = NodeCommon & { type: "trigger" };
export type LlmNode = NodeCommon & {
  type: "llm";
  model: Template;
  system: Template | null;
  /** Exactly one of prompt and messages is set. */
  prompt: Template | null;
  /** Renders to a list of {role: "system" | "user" | "assistant", content: string}. */
  messages: Template | null;
  /** JSON Schema of the answer; null for text. */
  schema: Json | null;
  repairAttempts: number;
  maxOutputTokens: number | null;
  temperature: number | null;
};
export type ConditionNode = NodeCommon & { type: "condition"; if: string };
export type SwitchCase = { port: string; equals: Json } | { port: string; if: string };
export type SwitchNode = NodeCommon & { type: "switch"; value: Template | null; cases: SwitchCase[] };
export type ActionNode = NodeCommon & { type: "action"; action: string; args: Template };
export type LoopNode = NodeCommon & {
  type: "loop";
  /** Null: the loop repeats until `until` holds or `maxIterations` is reached. */
  items: Template | null;
  itemName: string;
  indexName: string;
  /** Entry node of the body. */
  body: string;
  maxIterations: number;
  concurrency: number;
  onItemError: "fail" | "continue" | "stop";
  /** Evaluated after each pass, in the scope of the pass. */
  until: string | null;
  /** Values handed from pass to pass, readable as `loop.carry.<name>`. */
  carry: Array<{ name: string; initial: Template; next: Template }>;
  /** What a pass contributes to `results`; null: the output of the last node of the pass. */
  collect: Template | null;
  /** What `until`, `carry[].next` and `collect` read; evaluated in the scope of a finished pass. */
  passReads: Reads;
};
export type SetNode = NodeCommon & { type: "set"; values: Array<[string, Template]> };
export type OutputNode = NodeCommon & { type: "output"; value: Template };

export type PlanNode =
  TriggerNode | LlmNode | ConditionNode | SwitchNode | ActionNode | LoopNode | SetNode | OutputNode;
export type NodeType = PlanNode["type"];
export type NodeOf<T extends NodeType> = Extract<PlanNode, { type: T }>;

export type Plan = {
  format: typeof PLAN_FORMAT;
  name: string;
  /** Id of the trigger node, where every execution begins. */
  entry: string;
  nodes: Record<string, PlanNode>;
  /** Action names used, sorted. */
  actions: string[];
  /** Literal model names used, sorted. */
  models: string[];
};
