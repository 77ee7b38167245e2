/**
 * The rules about single nodes that the schema cannot say: names, fields that need or exclude each other, JSON Schemas,
 * actions and models.
 */
import type { Json } from "../../shared/json.js";
import { checkJsonSchema } from "../jsonSchemaCheck.js";
import { parseTemplate } from "../expr/template.js";
import { localsOf, type Local } from "./locals.js";
import { nodeIdProblem, nameProblem, suggestName } from "./names.js";
import { problem, type Path, type Problem, type ProblemCode } from "./problems.js";
import { loopsAround, type Regions } from "./regions.js";
import type { PartialNode } from "./schema.js";
import type { LooseNode } from "./shape.js";
import type { Suggester } from "./suggest.js";

/** What the app offers; a set that is absent is not checked against. */
export type Known = {
  knownActions?: ReadonlySet<string> | undefined;
  knownProviders?: ReadonlySet<string> | undefined;
};

type Part<T extends PartialNode["type"]> = Extract<PartialNode, { type: T }>;
/** Fields that are given but malformed; no other problem is made of their absence. */
type Bad = ReadonlySet<string>;

const MODEL = /^([A-Za-z][\w.-]*):(\S(?:.*\S)?)$/;

export function checkNodes(nodes: readonly LooseNode[], regions: Regions, known: Known, suggest: Suggester): Problem[] {
  const byId = new Map(nodes.map((one) => [one.id, one.node]));
  return nodes.flatMap(({ id, node, bad }) => {
    const path = ["nodes", id];
    switch (node?.type) {
      case "llm":
        return checkLlm(path, node, bad, known, suggest);
      case "switch":
        return checkSwitch(path, node);
      case "action":
        return checkAction(path, node, known, suggest);
      case "set":
        return checkNames([...path, "values"], Object.keys(node.values ?? {}));
      case "loop": {
        const around = loopsAround(regions.loopOf, id).flatMap((loop) => {
          const outer = byId.get(loop);
          return outer?.type === "loop" ? localsOf(outer).map(({ name }) => ({ name, loop })) : [];
        });
        return [...checkLoop(path, node, bad), ...checkLocals(id, node, around)];
      }
      default:
        return [];
    }
  });
}

export function checkInputSchema(schema: Json): Problem[] {
  return checkSchema("INPUT_SCHEMA_INVALID", ["input"], schema);
}

function checkSchema(code: ProblemCode, path: Path, schema: Json): Problem[] {
  return checkJsonSchema(schema).map((reason) => problem(code, path, `This is not a valid JSON Schema: ${reason}.`));
}

function checkLlm(path: Path, node: Part<"llm">, bad: Bad, known: Known, suggest: Suggester): Problem[] {
  const problems = checkOneOf(path, node, ["prompt", "messages"], bad);
  if (node.repairAttempts !== undefined && node.schema === undefined && !bad.has("schema")) {
    problems.push(unused([...path, "repairAttempts"], "schema", "An answer without a schema is never repaired."));
  }
  if (typeof node.messages === "string") problems.push(...checkList([...path, "messages"], node.messages));
  if (node.schema !== undefined) problems.push(...checkSchema("LLM_SCHEMA_INVALID", [...path, "schema"], node.schema));
  if (node.model !== undefined) problems.push(...checkModel([...path, "model"], node.model, known, suggest));
  return problems;
}

/** A model that holds an expression is only known when the node runs. */
function checkModel(path: Path, source: string, { knownProviders }: Known, suggest: Suggester): Problem[] {
  const { template, problems } = parseTemplate(source);
  if (problems.length > 0 || template.kind !== "literal" || typeof template.value !== "string") return [];
  const [, provider, name] = MODEL.exec(template.value) ?? [];
  if (provider === undefined) {
    const message = `The model ${JSON.stringify(source)} is not of the form \`provider:name\`, as in \`openai:gpt-5-mini\`.`;
    return [problem("MODEL_INVALID", path, message)];
  }
  if (knownProviders === undefined || knownProviders.has(provider)) return [];
  const near = suggest(provider, knownProviders);
  const message = `The provider \`${provider}\` is not known. ${listed("Known providers", knownProviders)}`;
  return [problem("MODEL_PROVIDER_UNKNOWN", path, message, near === null ? null : `${near}:${name}`)];
}

function checkAction(path: Path, node: Part<"action">, { knownActions }: Known, suggest: Suggester): Problem[] {
  if (node.action === undefined || knownActions === undefined || knownActions.has(node.action)) return [];
  const message = `No function is bound to the action \`${node.action}\`. Bind one in the app and run \`sync\`, or use another action.`;
  return [problem("ACTION_UNKNOWN", [...path, "action"], message, suggest(node.action, knownActions))];
}

function checkSwitch(path: Path, node: Part<"switch">): Problem[] {
  if (node.cases === undefined) return [];
  const problems = node.cases.flatMap((one, i) => checkOneOf([...path, "cases", i], one, ["equals", "if"]));
  const comparing = node.cases.findIndex((one) => one.equals !== undefined);
  if (comparing >= 0 && node.value === undefined) {
    problems.push(unused([...path, "cases", comparing, "equals"], "value", "There is nothing to compare it with."));
  }
  if (comparing < 0 && node.value !== undefined) {
    problems.push(unused([...path, "value"], "equals", "No case compares anything with it."));
  }
  return problems;
}

function checkLoop(path: Path, node: Part<"loop">, bad: Bad): Problem[] {
  const problems = checkNames([...path, "carry"], Object.keys(node.carry ?? {}));
  if (typeof node.items === "string") problems.push(...checkList([...path, "items"], node.items));
  if (node.items === undefined && !bad.has("items")) {
    if (node.item !== undefined) problems.push(unused([...path, "item"], "items", "The loop has no items to name."));
    if (node.until === undefined && !bad.has("until")) {
      const message = "The loop has neither `items` nor `until`. Say what it repeats for, or until when.";
      problems.push(problem("LOOP_UNBOUNDED", path, message));
    }
  }
  if ((node.concurrency ?? 1) > 1) {
    for (const field of ["until", "carry"] as const) {
      if (node[field] === undefined) continue;
      const message = `\`${field}\` needs passes that run one after the other, but the loop has a concurrency of ${node.concurrency}.`;
      problems.push(problem("LOOP_NOT_SEQUENTIAL", [...path, field], message, '"concurrency": 1'));
    }
  }
  return problems;
}

function checkLocals(id: string, node: Part<"loop">, around: ReadonlyArray<{ name: string; loop: string }>): Problem[] {
  const taken = new Map(around.map(({ name, loop }) => [name, `loop \`${loop}\` around it`]));
  return localsOf(node).flatMap((local) => {
    const path = ["nodes", id, local.field];
    const wrong = nodeIdProblem(local.name);
    if (wrong !== null) return [nameInvalid(path, local.name, wrong)];
    const owner = taken.get(local.name);
    taken.set(local.name, "the other name of the loop");
    return owner === undefined ? [] : [shadowed(id, local, owner)];
  });
}

function shadowed(id: string, { field, name }: Local, owner: string): Problem {
  const message = `The ${field} of \`${id}\` is named \`${name}\`, which is taken by ${owner}. Give it a name with \`${field}\`.`;
  const suggestion = suggestName(`${id}_${field}`);
  return problem("NAME_SHADOWED", ["nodes", id, field], message, suggestion);
}

function checkNames(path: Path, names: readonly string[]): Problem[] {
  return names.flatMap((name) => {
    const wrong = nameProblem(name);
    return wrong === null ? [] : [nameInvalid([...path, name], name, wrong)];
  });
}

function nameInvalid(path: Path, name: string, wrong: string): Problem {
  return problem(
    "NAME_INVALID",
    path,
    `The name ${JSON.stringify(name)} ${wrong}. Choose another one.`,
    suggestName(name),
  );
}

function checkList(path: Path, source: string): Problem[] {
  const { template, problems } = parseTemplate(source);
  if (problems.length > 0 || template.kind === "expression") return [];
  const tags = template.kind === "text" ? template.parts.filter((part) => typeof part === "object") : [];
  const [only] = tags.length === 1 ? tags : [];
  const message = "A list is needed, but this is text. Write a list, or one `{{ expression }}` with nothing around it.";
  return [problem("TEMPLATE_NOT_LIST", path, message, only === undefined ? null : `{{ ${only.source} }}`)];
}

function checkOneOf<T extends object>(
  path: Path,
  fields: T,
  names: [keyof T & string, keyof T & string],
  bad?: Bad,
): Problem[] {
  const given = names.filter((field) => fields[field] !== undefined);
  if (given.length === 1 || names.some((field) => bad?.has(field))) return [];
  const [a, b] = names;
  const what = given.length === 0 ? `Neither \`${a}\` nor \`${b}\` is given` : `Both \`${a}\` and \`${b}\` are given`;
  return [problem("FIELDS_CONFLICT", path, `${what}; exactly one is needed.`)];
}

function unused(path: Path, missing: string, why: string): Problem {
  const field = String(path.at(-1));
  return problem(
    "FIELD_UNUSED",
    path,
    `\`${field}\` has no effect without \`${missing}\`. ${why}`,
    `Add \`${missing}\`, or leave \`${field}\` out.`,
  );
}

function listed(title: string, names: ReadonlySet<string>): string {
  return names.size === 0 ? `${title}: none.` : `${title}: ${[...names].sort().join(", ")}.`;
}
