/**
 * The runnable snippets of the documentation: groups of fenced blocks with the info strings `json flow`, `json input`,
 * `json mocks` and `json result`, in this order, of which `flow` and `result` are always there.
 *
 * Invariant: a block that belongs to no whole group is a problem, never left out.
 */
import { isJsonObject, type Json, type JsonObject } from "../../src/shared/json.js";

export type Snippet = {
  page: string;
  line: number;
  name: string;
  input?: Json;
  mocks?: Json;
  flow: Json;
  result: Json;
};

const PARTS = ["flow", "input", "mocks", "result"] as const;
type Part = (typeof PARTS)[number];
type Block = { part: string; line: number; value: Json };

const BLOCK = /^```json (\w+)\n([\s\S]*?)^```$/gm;

export function readSnippets(page: string, text: string): { snippets: Snippet[]; problems: string[] } {
  const snippets: Snippet[] = [];
  const problems: string[] = [];
  let group = new Map<Part, Block>();
  const close = () => {
    const [flow, result] = [group.get("flow"), group.get("result")];
    const line = [...group.values()][0]?.line ?? 0;
    if (flow !== undefined && result !== undefined) snippets.push(toSnippet(page, flow, result, group));
    else if (group.size > 0)
      problems.push(`${page}:${line}: ${[...group.keys()].join(", ")} without ${flow ? "result" : "flow"}`);
    group = new Map<Part, Block>();
  };
  for (const block of blocksOf(page, text, problems)) {
    const part = PARTS.find((one) => one === block.part);
    if (part === undefined) {
      problems.push(`${page}:${block.line}: a block cannot be \`${block.part}\`; it is one of ${PARTS.join(", ")}`);
      continue;
    }
    const last = [...group.keys()].at(-1);
    if (last !== undefined && PARTS.indexOf(part) <= PARTS.indexOf(last)) close();
    group.set(part, block);
    if (part === "result") close();
  }
  close();
  return { snippets, problems };
}

function blocksOf(page: string, text: string, problems: string[]): Block[] {
  return [...text.matchAll(BLOCK)].flatMap(({ index, 1: part = "", 2: body = "" }) => {
    const line = text.slice(0, index).split("\n").length;
    try {
      return [{ part, line, value: JSON.parse(body) as Json }];
    } catch (error) {
      problems.push(`${page}:${line}: ${String(error)}`);
      return [];
    }
  });
}

function toSnippet(page: string, flow: Block, result: Block, group: ReadonlyMap<Part, Block>): Snippet {
  const [input, mocks] = [group.get("input"), group.get("mocks")];
  const named = isJsonObject(flow.value) ? flow.value.name : undefined;
  const name = typeof named === "string" ? named : "";
  return {
    ...{ page, line: flow.line, name, flow: flow.value, result: result.value },
    ...(input === undefined ? {} : { input: input.value }),
    ...(mocks === undefined ? {} : { mocks: mocks.value }),
  };
}

/** The part of a value that an expectation speaks about: fields it does not name are left out, lists stay whole. */
export function partOf(actual: Json, expected: Json): Json {
  if (Array.isArray(expected) && Array.isArray(actual)) return actual.map((one, i) => partOf(one, expected[i] ?? null));
  if (!isJsonObject(expected) || !isJsonObject(actual)) return actual;
  const fields = Object.entries(expected).filter(([name]) => Object.hasOwn(actual, name));
  return Object.fromEntries(
    fields.map(([name, value]) => [name, partOf(actual[name] ?? null, value)]),
  ) satisfies JsonObject;
}
