/**
 * The format of a definition, as zod schemas.
 *
 * Owns: every field with its type, bounds and description. The single source for validation (shape.ts), the type
 * {@link Definition} and the published JSON Schema. Rules between fields and nodes are in the check modules.
 * Invariants: unknown keys are refused; nothing is defaulted or transformed, so what was written is what is stored;
 * user JSON (schemas, templates, `equals`) passes by reference, with `$` keys, empty keys and `__proto__` as they are.
 */
import { z } from "zod";
import { ERROR_CLASSES } from "../../shared/errors.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import {
  DEFAULT_MAX_ITERATIONS,
  MAX_ATTEMPTS,
  MAX_ITERATIONS,
  MAX_LLM_REPAIR_ATTEMPTS,
  MAX_LOOP_CONCURRENCY,
  MAX_NAME_LENGTH,
  MAX_NODE_ID_LENGTH,
  MAX_NODE_TIMEOUT_MS,
  MAX_RETRY_DELAY_MS,
  MAX_SET_VALUES,
  MAX_SWITCH_CASES,
} from "../../shared/limits.js";
import type { NodeType } from "../plan.js";
import { DEFAULT_INDEX_NAME, DEFAULT_ITEM_NAME, DEFAULT_REPAIR_ATTEMPTS } from "./defaults.js";
import { CURRENT_DEFINITION_FORMAT, UNMARKED_FORMAT } from "./migrations.js";
import { NAME_PATTERN } from "./names.js";

const TEMPLATE_NOTE = "`{{ expression }}` in its texts stands for data.";

/** A delay reaches any cap in a few steps with far less. */
const MAX_RETRY_FACTOR = 100;

/** Names are checked by names.ts, because a record stops at a bad key and would hide the problems below it. */
const NAME_KEYS = { propertyNames: { pattern: NAME_PATTERN, maxLength: MAX_NODE_ID_LENGTH } };

const name = (description: string) =>
  z.string().meta({ description, pattern: NAME_PATTERN, maxLength: MAX_NODE_ID_LENGTH });
const target = (description: string) => name(description);
const expression = (description: string) =>
  z.string().min(1).describe(`${description} A CEL expression, without braces.`);
const textTemplate = (description: string) => z.string().min(1).describe(`${description} ${TEMPLATE_NOTE}`);
const jsonTemplate = (description: string) => anyJson(`${description} Any JSON; ${TEMPLATE_NOTE}`);
const anyJson = (description: string) => z.custom<Json>((value) => value !== undefined).meta({ description });
const jsonSchema = (description: string) =>
  z
    .custom<JsonObject | boolean>(
      (value) => typeof value === "boolean" || isJsonObject(value),
      "expected a JSON Schema: an object, true or false",
    )
    .meta({ description, type: ["object", "boolean"] });

const inRange = (value: number, min: number, max: number) => value >= min && value <= max;

const retry = z
  .strictObject({
    maxAttempts: z.exactOptional(z.int().min(1).max(MAX_ATTEMPTS).describe("Tries in all; 1 means no retry.")),
    initialMs: z.exactOptional(z.int().min(0).max(MAX_RETRY_DELAY_MS).describe("Delay before the first retry.")),
    factor: z.exactOptional(
      z.number().min(1).max(MAX_RETRY_FACTOR).describe("Each further delay is this many times longer."),
    ),
    maxMs: z.exactOptional(z.int().min(0).max(MAX_RETRY_DELAY_MS).describe("Longest delay.")),
    on: z.exactOptional(
      z.array(z.enum(ERROR_CLASSES)).max(ERROR_CLASSES.length).describe("Error classes that are tried again."),
    ),
  })
  .describe(
    "When a failed node is tried again. Fields that are left out come from `defaults.retry`, then from the node type.",
  );

const timeoutMs = z.int().min(1).max(MAX_NODE_TIMEOUT_MS).describe("Longest time that one attempt of a node may take.");

const common = {
  description: z.exactOptional(z.string().describe("For people; not used otherwise.")),
  next: z.exactOptional(
    z
      .record(z.string(), target("Id of the next node."))
      .meta({ description: "Port -> next node. A port without a target ends the pass of a loop, or the execution." }),
  ),
  retry: z.exactOptional(retry),
  timeoutMs: z.exactOptional(timeoutMs),
};

const trigger = z
  .strictObject({ type: z.literal("trigger"), ...common })
  .describe("Where executions begin; its output is the input. Ports: success.");

const message = z.strictObject({
  role: z
    .string()
    .regex(/^(?:system|user|assistant)$|\{\{/, "expected system, user, assistant, or a template that gives one of them")
    .describe("system, user or assistant, or a template that gives one of them."),
  content: z.string().describe(`What is said. ${TEMPLATE_NOTE}`),
});

const llm = z
  .strictObject({
    type: z.literal("llm"),
    ...common,
    model: textTemplate("`provider:name`, as in `openai:gpt-5-mini`."),
    system: z.exactOptional(textTemplate("Instructions.")),
    prompt: z.exactOptional(textTemplate("What the model is asked. Exactly one of `prompt` and `messages` is given.")),
    messages: z.exactOptional(
      z
        .union([z.array(message).min(1), z.string().min(1)])
        .describe("The conversation: a list of {role, content}, or one `{{ expression }}` that gives such a list."),
    ),
    schema: z.exactOptional(jsonSchema("JSON Schema of the answer; without it the answer is text.")),
    repairAttempts: z.exactOptional(
      z
        .int()
        .min(0)
        .max(MAX_LLM_REPAIR_ATTEMPTS)
        .describe(
          `Times the model is asked again when its answer does not match \`schema\`; default ${DEFAULT_REPAIR_ATTEMPTS}.`,
        ),
    ),
    maxOutputTokens: z.exactOptional(z.int().min(1).describe("Token limit of the answer.")),
    temperature: z.exactOptional(z.number().min(0).max(2).describe("Sampling temperature.")),
  })
  .meta({
    description: "Asks a language model. Ports: success, failure.",
    oneOf: [{ required: ["prompt"] }, { required: ["messages"] }],
  });

const condition = z
  .strictObject({ type: z.literal("condition"), ...common, if: expression("Gives true or false.") })
  .describe("Goes one of two ways. Ports: true, false, failure.");

const switchCase = z
  .strictObject({
    equals: z.exactOptional(anyJson("Matches when `value` is equal to this JSON.")),
    if: z.exactOptional(expression("Matches when it gives true.")),
    port: name("Port to leave through; several cases may share one."),
  })
  .meta({
    description: "Exactly one of `equals` and `if` is given.",
    oneOf: [{ required: ["equals"] }, { required: ["if"] }],
  });

const switchNode = z
  .strictObject({
    type: z.literal("switch"),
    ...common,
    value: z.exactOptional(jsonTemplate("What the `equals` of the cases are compared with.")),
    cases: z.array(switchCase).min(1).max(MAX_SWITCH_CASES).describe("The first case that matches is taken."),
  })
  .describe("Goes one of many ways. Ports: those of the cases, default, failure.");

const action = z
  .strictObject({
    type: z.literal("action"),
    ...common,
    action: z
      .string()
      .min(1)
      .max(MAX_NAME_LENGTH)
      .describe("Name under which the app bound the function, as in `crm.lookup`."),
    args: z.exactOptional(
      z
        .custom<JsonObject>(isJsonObject, "expected an object")
        .meta({ description: `Arguments; default {}. ${TEMPLATE_NOTE}`, type: "object" }),
    ),
  })
  .describe("Calls a function of the app. Ports: success, failure.");

const carried = z.strictObject({
  initial: jsonTemplate("Value for the first pass."),
  next: jsonTemplate("Value for the next pass, evaluated at the end of each."),
});

const loop = z
  .strictObject({
    type: z.literal("loop"),
    ...common,
    items: z.exactOptional(
      z
        .union([z.array(anyJson("An item.")), z.string().min(1)])
        .describe(
          "One pass for each item: a list, or one `{{ expression }}` that gives a list. Without it `until` decides.",
        ),
    ),
    item: z.exactOptional(name(`Name of the item in expressions; default \`${DEFAULT_ITEM_NAME}\`.`)),
    index: z.exactOptional(name(`Name of the position, from 0, in expressions; default \`${DEFAULT_INDEX_NAME}\`.`)),
    body: target("Entry node of the body: all that is reached from there."),
    maxIterations: z.exactOptional(
      z.int().min(1).max(MAX_ITERATIONS).describe(`Most passes; default ${DEFAULT_MAX_ITERATIONS}.`),
    ),
    concurrency: z.exactOptional(z.int().min(1).max(MAX_LOOP_CONCURRENCY).describe("Passes at once; default 1.")),
    onItemError: z.exactOptional(
      z.enum(["fail", "continue", "stop"]).describe("What a failed pass does to the loop; default `fail`."),
    ),
    until: z.exactOptional(expression("Evaluated at the end of each pass; true leaves through `break`.")),
    carry: z.exactOptional(
      z
        .record(z.string(), carried)
        .meta({ description: "Values handed from pass to pass, read as `loop.carry.<name>`.", ...NAME_KEYS }),
    ),
    collect: z.exactOptional(jsonTemplate("What a pass adds to the results; default: the output of its last node.")),
  })
  .meta({
    description: "Runs its body repeatedly. Ports: done, break, failure.",
    anyOf: [{ required: ["items"] }, { required: ["until"] }],
  });

const set = z
  .strictObject({
    type: z.literal("set"),
    ...common,
    values: z
      .record(z.string(), jsonTemplate("The value."))
      .refine(
        (values) => inRange(Object.keys(values).length, 1, MAX_SET_VALUES),
        `expected 1 to ${MAX_SET_VALUES} variables`,
      )
      .meta({
        description: "Variables to set, read as `vars.<name>`.",
        minProperties: 1,
        maxProperties: MAX_SET_VALUES,
        ...NAME_KEYS,
      }),
  })
  .describe("Sets variables of the execution. Ports: success, failure.");

const output = z
  .strictObject({ type: z.literal("output"), ...common, value: jsonTemplate("Result of the execution.") })
  .describe("Ends the execution with a result. Ports: failure.");

export const nodeSchema = z.discriminatedUnion("type", [
  trigger,
  llm,
  condition,
  switchNode,
  action,
  loop,
  set,
  output,
]);

export const definitionSchema = z
  .strictObject({
    format: z.exactOptional(
      z
        .literal(CURRENT_DEFINITION_FORMAT)
        .describe(`Version of this format; without it ${UNMARKED_FORMAT}. Older ones are migrated when they are read.`),
    ),
    name: z.string().min(1).max(MAX_NAME_LENGTH).describe("Name of the definition in its scope."),
    description: z.exactOptional(z.string().describe("For people; not used otherwise.")),
    input: z.exactOptional(jsonSchema("JSON Schema of the input; without it every input is taken.")),
    defaults: z.exactOptional(
      z
        .strictObject({ retry: z.exactOptional(retry), timeoutMs: z.exactOptional(timeoutMs) })
        .describe("For every node that does not say otherwise."),
    ),
    nodes: z
      .record(z.string(), nodeSchema)
      .meta({ description: "Node id -> node. Exactly one is a trigger.", ...NAME_KEYS }),
  })
  .describe("A Shardflow definition.");

/** A definition as it is written: nothing is filled in. */
export type Definition = z.infer<typeof definitionSchema>;
export type NodeSource = Definition["nodes"][string];
export type NodeSourceOf<T extends NodeType> = Extract<NodeSource, { type: T }>;
export type RetrySource = z.infer<typeof retry>;
/** A node of which only the fields that match the format are there. */
export type PartialNode = { [T in NodeType]: Partial<NodeSourceOf<T>> & { type: T } }[NodeType];

/** The format as JSON Schema (draft 2020-12), for editors and other tools. */
export function definitionJsonSchema(): Json {
  return z.toJSONSchema(definitionSchema, { unrepresentable: "any" }) as Json;
}

/** The fields that exist at a place of the format, for suggestions; `type` is that of the node the place is in. */
export function fieldsAt(path: ReadonlyArray<PropertyKey>, type: NodeType | null): string[] {
  if (path.length === 0) return Object.keys(definitionSchema.shape);
  if (path.at(-1) === "retry") return Object.keys(retry.shape);
  if (path[0] === "defaults") return ["retry", "timeoutMs"];
  if (path.length === 2)
    return Object.keys(nodeSchema.options.find((one) => one.shape.type.value === type)?.shape ?? {});
  const nested = { messages: message, cases: switchCase, carry: carried }[String(path[2])];
  return nested === undefined ? [] : Object.keys(nested.shape);
}
