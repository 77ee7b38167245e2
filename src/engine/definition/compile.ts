/**
 * Compiles a valid definition to the plan that the walker runs.
 *
 * Owns: the defaults of every field, and what each node reads. Invariants: the same definition gives the same plan;
 * literal JSON is taken over as it is. Imports no zod: the walker's bundle compiles plans of another format again.
 */
import { shardflowError } from "../../shared/errors.js";
import type { Json } from "../../shared/json.js";
import { DEFAULT_LLM_TIMEOUT_MS, DEFAULT_MAX_ITERATIONS, DEFAULT_NODE_TIMEOUT_MS } from "../../shared/limits.js";
import { analyzeExpression, type ScopeNames } from "../expr/analyze.js";
import { parseTemplate } from "../expr/template.js";
import {
  PLAN_FORMAT,
  type Plan,
  type PlanNode,
  type Reads,
  type RetryPolicy,
  type SwitchCase,
  type Template,
} from "../plan.js";
import { DEFAULT_RETRY } from "../retry.js";
import { expressionsIn, scopesOf } from "./expressions.js";
import { DEFAULT_INDEX_NAME, DEFAULT_ITEM_NAME, DEFAULT_REPAIR_ATTEMPTS } from "./defaults.js";
import { divideIntoRegions, type Graph } from "./regions.js";
import type { Definition, NodeSource, NodeSourceOf } from "./schema.js";
import { sitesOf, type Site } from "./sites.js";

type Common = Omit<Extract<PlanNode, { type: "trigger" }>, "type">;

/** @throws {DEFINITION_INVALID} when the definition has no trigger or a template does not parse: it was not validated. */
export function compileDefinition(definition: Definition): Plan {
  const sources = new Map(Object.entries(definition.nodes));
  const entry = [...sources].find(([, node]) => node.type === "trigger")?.[0];
  if (entry === undefined) throw invalid("it has no trigger");
  const { loopOf } = divideIntoRegions(graphOf(sources), [entry]);
  const scopes = scopesOf(sources, loopOf);

  const nodes: Record<string, PlanNode> = {};
  for (const [id, source] of sources) {
    const sites = sitesOf(source);
    const readsAt = (moment: Site["moment"]): Reads =>
      mergeReads(sites.filter((site) => site.moment === moment).flatMap((site) => readsOf(site, scopes(id, site))));
    const common: Common = {
      id,
      loop: loopOf.get(id) ?? null,
      next: { ...source.next },
      retry: retryOf(source, definition.defaults?.retry),
      timeoutMs: source.timeoutMs ?? definition.defaults?.timeoutMs ?? defaultTimeoutMs(source.type),
      reads: readsAt("before"),
    };
    nodes[id] = compileNode(source, common, () => readsAt("pass"));
  }
  const all = Object.values(nodes);
  return {
    format: PLAN_FORMAT,
    name: definition.name,
    entry,
    nodes,
    actions: sorted(all.flatMap((node) => (node.type === "action" ? [node.action] : []))),
    models: sorted(all.flatMap((node) => (node.type === "llm" ? literalText(node.model) : []))),
  };
}

function graphOf(sources: ReadonlyMap<string, NodeSource>): Graph {
  return new Map(
    [...sources].map(([id, node]) => {
      const edges = Object.entries(node.next ?? {}).map(([port, to]) => ({ port, to }));
      return [id, { edges, body: node.type === "loop" ? node.body : null }];
    }),
  );
}

function compileNode(source: NodeSource, common: Common, passReads: () => Reads): PlanNode {
  switch (source.type) {
    case "trigger":
      return { ...common, type: "trigger" };
    case "llm":
      return compileLlm(source, common);
    case "condition":
      return { ...common, type: "condition", if: source.if };
    case "switch":
      return { ...common, type: "switch", value: template(source.value), cases: source.cases.map(compileCase) };
    case "action":
      return { ...common, type: "action", action: source.action, args: compileTemplate(source.args ?? {}) };
    case "loop":
      return compileLoop(source, common, passReads());
    case "set":
      return { ...common, type: "set", values: compileEntries(source.values) };
    case "output":
      return { ...common, type: "output", value: compileTemplate(source.value) };
  }
}

function compileLlm(source: NodeSourceOf<"llm">, common: Common): PlanNode {
  return {
    ...common,
    type: "llm",
    model: compileTemplate(source.model),
    system: template(source.system),
    prompt: template(source.prompt),
    messages: template(source.messages),
    schema: source.schema ?? null,
    repairAttempts: source.schema === undefined ? 0 : (source.repairAttempts ?? DEFAULT_REPAIR_ATTEMPTS),
    maxOutputTokens: source.maxOutputTokens ?? null,
    temperature: source.temperature ?? null,
  };
}

function compileCase({ port, equals, if: condition }: NodeSourceOf<"switch">["cases"][number]): SwitchCase {
  if (equals !== undefined) return { port, equals };
  if (condition !== undefined) return { port, if: condition };
  throw invalid(`the case of port ${port} compares nothing`);
}

function compileLoop(source: NodeSourceOf<"loop">, common: Common, passReads: Reads): PlanNode {
  return {
    ...common,
    type: "loop",
    items: template(source.items),
    itemName: source.item ?? DEFAULT_ITEM_NAME,
    indexName: source.index ?? DEFAULT_INDEX_NAME,
    body: source.body,
    maxIterations: source.maxIterations ?? DEFAULT_MAX_ITERATIONS,
    concurrency: source.concurrency ?? 1,
    onItemError: source.onItemError ?? "fail",
    until: source.until ?? null,
    carry: Object.entries(source.carry ?? {}).map(([name, { initial, next }]) => ({
      name,
      initial: compileTemplate(initial),
      next: compileTemplate(next),
    })),
    collect: template(source.collect),
    passReads,
  };
}

function compileEntries(values: Record<string, Json>): Array<[string, Template]> {
  return Object.entries(values).map(([name, value]) => [name, compileTemplate(value)]);
}

function template(value: Json | undefined): Template | null {
  return value === undefined ? null : compileTemplate(value);
}

function compileTemplate(value: Json): Template {
  const { template, problems } = parseTemplate(value);
  const [first] = problems;
  if (first !== undefined) throw invalid(first.message);
  return template;
}

function readsOf(site: Site, names: ScopeNames): Reads[] {
  const sources =
    site.kind === "expression" ? [site.source] : expressionsIn(compileTemplate(site.value)).map((one) => one.source);
  return sources.map((source) => analyzeExpression(source, names).reads);
}

function mergeReads(all: readonly Reads[]): Reads {
  return {
    nodes: sorted(all.flatMap((reads) => reads.nodes)),
    input: all.some((reads) => reads.input),
    vars: all.some((reads) => reads.vars),
    context: all.some((reads) => reads.context),
  };
}

function retryOf(source: NodeSource, defaults: Partial<RetryPolicy> | undefined): RetryPolicy {
  const policy = { ...DEFAULT_RETRY[source.type], ...defaults, ...source.retry };
  return { ...policy, on: [...policy.on] };
}

function defaultTimeoutMs(type: NodeSource["type"]): number {
  return type === "llm" ? DEFAULT_LLM_TIMEOUT_MS : DEFAULT_NODE_TIMEOUT_MS;
}

function literalText(template: Template): string[] {
  return template.kind === "literal" && typeof template.value === "string" ? [template.value] : [];
}

/** Each once, by code unit, so that the order does not depend on where it is sorted. */
function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function invalid(why: string): Error {
  return shardflowError("DEFINITION_INVALID", {
    message: `The definition cannot be compiled: ${why}. Validate it first.`,
  });
}
