/**
 * The format of a definition as TypeScript types, for definitions that are written in code:
 * `const triage = { ... } satisfies DefinitionSource`.
 *
 * Owns: the names and shapes a person types. The rules (which node may be named where, bounds, expressions) are checked
 * when a definition is validated or published. A type test keeps these types equal to the schemas that check.
 */
import type { ErrorClass } from "../shared/errors.js";
import type { Json, JsonObject } from "../shared/json.js";

/** `{{ expression }}` in its texts stands for data; alone in a text it keeps the type of its value. */
export type Template = Json;
/** A JSON Schema. `true` takes everything. */
export type JsonSchemaSource = JsonObject | boolean;

export type DefinitionSource = {
  /** Version of the format; without it 1. Older ones are migrated when they are read. */
  format?: 1;
  /** Name of the definition in its scope. */
  name: string;
  description?: string;
  /** What the input must look like; without it every input is taken. */
  input?: JsonSchemaSource;
  /** For every node that does not say otherwise. */
  defaults?: { retry?: RetrySource; timeoutMs?: number };
  /** Node id -> node. Exactly one is a trigger. */
  nodes: { [id: string]: NodeSource };
};

export type NodeSource =
  TriggerSource | LlmSource | ConditionSource | SwitchSource | ActionSource | LoopSource | SetSource | OutputSource;

type CommonSource = {
  description?: string;
  /** Port -> next node. A port without a target ends the pass of a loop, or the execution. */
  next?: { [port: string]: string };
  retry?: RetrySource;
  /** Longest time that one attempt may take. */
  timeoutMs?: number;
};

/** When a failed node is tried again. What is left out comes from `defaults.retry`, then from the node type. */
export type RetrySource = {
  /** Tries in all; 1 means no retry. */
  maxAttempts?: number;
  initialMs?: number;
  factor?: number;
  maxMs?: number;
  /** Error classes that are tried again. */
  on?: ErrorClass[];
};

/** Where executions begin; its output is the input. Ports: success. */
export type TriggerSource = CommonSource & { type: "trigger" };

/** Asks a language model; give `prompt` or `messages`. Ports: success, failure. */
export type LlmSource = CommonSource & {
  type: "llm";
  /** `provider:name`, as in `openai:gpt-5-mini`. */
  model: string;
  system?: string;
  prompt?: string;
  /** The conversation, or one `{{ expression }}` that gives it. Roles: system, user, assistant. */
  messages?: Array<{ role: string; content: string }> | string;
  /** What the answer must look like; without it the answer is text. */
  schema?: JsonSchemaSource;
  /** Times the model is asked again when its answer does not match `schema`; default 2. */
  repairAttempts?: number;
  maxOutputTokens?: number;
  temperature?: number;
};

/** Goes one of two ways. Ports: true, false, failure. */
export type ConditionSource = CommonSource & {
  type: "condition";
  /** An expression, without braces. */
  if: string;
};

/** Goes one of many ways: the first case that matches. Ports: those of the cases, default, failure. */
export type SwitchSource = CommonSource & {
  type: "switch";
  /** What the `equals` of the cases are compared with. */
  value?: Template;
  /** Each has exactly one of `equals` and `if`. */
  cases: Array<{ port: string; equals?: Json; if?: string }>;
};

/** Calls a function of the app. Ports: success, failure. */
export type ActionSource = CommonSource & {
  type: "action";
  /** Name under which the app bound the function, as in `crm.lookup`. */
  action: string;
  args?: { [name: string]: Template };
};

/** Runs its body repeatedly; give `items` or `until`. Ports: done, break, failure. */
export type LoopSource = CommonSource & {
  type: "loop";
  /** One pass for each item: a list, or one `{{ expression }}` that gives a list. */
  items?: Template[] | string;
  /** Name of the item in expressions; default `item`. */
  item?: string;
  /** Name of the position, from 0; default `index`. */
  index?: string;
  /** Entry node of the body: all that is reached from there. */
  body: string;
  maxIterations?: number;
  /** Passes at once; default 1. */
  concurrency?: number;
  /** What a failed pass does to the loop; default `fail`. */
  onItemError?: "fail" | "continue" | "stop";
  /** Evaluated at the end of each pass; true leaves through `break`. */
  until?: string;
  /** Values handed from pass to pass, read as `loop.carry.<name>`. */
  carry?: { [name: string]: { initial: Template; next: Template } };
  /** What a pass adds to the results; default: the output of its last node. */
  collect?: Template;
};

/** Sets variables, read as `vars.<name>`. Ports: success, failure. */
export type SetSource = CommonSource & { type: "set"; values: { [name: string]: Template } };

/** Ends the execution with a result. Ports: failure. */
export type OutputSource = CommonSource & { type: "output"; value: Template };
