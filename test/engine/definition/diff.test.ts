import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffDefinitions } from "../../../src/engine/definition/diff.js";
import type { Path } from "../../../src/engine/definition/problems.js";
import { changesOf } from "../../../src/engine/definition/valueDiff.js";
import type { DefinitionDiff, NodeChange, ValueChange } from "../../../src/shared/definitionDiff.js";
import { isJsonObject, type Json, type JsonObject } from "../../../src/shared/json.js";
import { definitions } from "../../support/arbitraries/definitions.js";

const SEED = 20_931;

/** Objects as JSON text gives them: `__proto__` is a key as any other. */
const key = fc.constantFrom("a", "b", "__proto__", "constructor", "0", "", "ключ", "next", "type");
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Json>(null, true, false, 0, 1, "", "a", "text"),
    fc.array(tie("json"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("json")), { maxLength: 4 }).map(objectOf),
  ),
}));

function objectOf(entries: ReadonlyArray<readonly [string, Json]>): JsonObject {
  return JSON.parse(
    `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`,
  ) as JsonObject;
}

/** Changes a value somewhere, so that two values have much in common. */
function edited(value: Json): fc.Arbitrary<Json> {
  const other = fc.oneof({ arbitrary: fc.constant(value), weight: 4 }, json);
  if (Array.isArray(value) && value.length > 0) {
    const items = fc.tuple(...value.map((item) => fc.option(edited(item), { nil: undefined, freq: 6 })));
    return fc.oneof(
      other,
      fc.tuple(items, fc.nat(value.length), fc.array(json, { maxLength: 2 })).map(([kept, at, more]) => {
        return kept.filter((item) => item !== undefined).toSpliced(at, 0, ...more);
      }),
    );
  }
  if (isJsonObject(value) && Object.keys(value).length > 0) {
    const fields = Object.entries(value).map(([name, member]) => fc.tuple(fc.constant(name), edited(member)));
    const all = fc.tuple(fc.tuple(...fields), fc.array(fc.tuple(key, json), { maxLength: 1 }));
    return fc.oneof(
      other,
      all.chain(([was, more]) => fc.shuffledSubarray([...more, ...was]).map(objectOf)),
    );
  }
  return other;
}

const pair = (value: fc.Arbitrary<Json>) => value.chain((a) => fc.tuple(fc.constant(a), edited(a)));

function setAt(value: Json, [head, ...rest]: Path, change: (parent: JsonObject | Json[], at: string | number) => void) {
  const container = value as JsonObject & Json[];
  if (head === undefined) throw new Error("The whole has no place in itself.");
  if (rest.length === 0) return change(container, head);
  setAt(container[head as number] as Json, rest, change);
}

function put(object: JsonObject, name: string, value: Json) {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** As the header of valueDiff.ts says. */
function applyChanges(value: Json, changes: readonly ValueChange[]): Json {
  const root: Json = [structuredClone(value)];
  const ordered = [
    ...changes.filter(({ kind }) => kind === "changed"),
    ...changes.filter(({ kind }) => kind === "removed").toReversed(),
    ...changes.filter(({ kind }) => kind === "added"),
  ];
  for (const change of ordered) {
    setAt(root, [0, ...change.path], (parent, at) => {
      if (Array.isArray(parent)) {
        const items = change.kind === "removed" ? [] : [change.after];
        parent.splice(Number(at), change.kind === "added" ? 0 : 1, ...items);
      } else if (change.kind === "removed") delete parent[at];
      else put(parent, String(at), change.after);
    });
  }
  return root[0] ?? null;
}

function applyNode(nodes: JsonObject, change: NodeChange) {
  if (change.kind === "removed") delete nodes[change.node];
  else if (change.kind === "added") put(nodes, change.node, change.after);
  else {
    const node = applyChanges(nodes[change.node] ?? null, change.fields);
    if (change.connections.length > 0 && isJsonObject(node)) {
      const next = isJsonObject(node.next) ? node.next : {};
      for (const one of change.connections) {
        if (one.kind === "removed") delete next[one.port];
        else put(next, one.port, one.after);
      }
      node.next = next;
    }
    put(nodes, change.node, node);
  }
}

function applyDiff(definition: JsonObject, { definition: changes, nodes }: DefinitionDiff): JsonObject {
  const result = applyChanges(definition, changes) as JsonObject;
  for (const change of nodes) applyNode(result.nodes as JsonObject, change);
  return result;
}

/** What a definition means: the format and connections as if they were always written. */
function meaning({ format = 1, nodes = {}, ...rest }: JsonObject): JsonObject {
  const full = Object.entries(nodes as JsonObject).map(
    ([id, node]) => [id, isJsonObject(node) ? { next: {}, ...node } : node] as const,
  );
  return { format, ...rest, nodes: objectOf(full) };
}

/** One text for all JSON that means the same. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const fields = Object.keys(value).map((name) => `${JSON.stringify(name)}:${canonical(value[name] as Json)}`);
  return `{${fields.sort().join()}}`;
}

describe("values", () => {
  test("the changes applied to the first give the second, and there are none between equal ones", () => {
    fc.assert(
      fc.property(pair(json), ([a, b]) => {
        const changes = changesOf(a, b);
        expect(canonical(applyChanges(a, changes))).toBe(canonical(b));
        expect(changes.length === 0).toBe(canonical(a) === canonical(b));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  test("what is added one way is removed the other way", () => {
    fc.assert(
      fc.property(pair(json), ([a, b]) => {
        const turned = changesOf(b, a).map((change) => {
          if (change.kind === "added") return { kind: "removed", path: change.path, before: change.after };
          if (change.kind === "removed") return { kind: "added", path: change.path, after: change.before };
          return { ...change, before: change.after, after: change.before };
        });
        const texts = (changes: Json[]) => changes.map(canonical).sort();
        expect(texts(turned as unknown as Json[])).toEqual(texts(changesOf(a, b) as unknown as Json[]));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  test("a place is as deep as the difference", () => {
    const a = { args: { query: { limit: 10, text: "x" }, old: true } };
    const b = { args: { query: { text: "x", limit: 20 }, fresh: null } };
    expect(changesOf(a, b)).toEqual([
      { kind: "changed", path: ["args", "query", "limit"], before: 10, after: 20 },
      { kind: "removed", path: ["args", "old"], before: true },
      { kind: "added", path: ["args", "fresh"], after: null },
    ]);
  });

  test("items put in or taken out at one place leave the others as they are", () => {
    expect(changesOf(["a", "c", "d"], ["a", "b", "c", "d"])).toEqual([{ kind: "added", path: [1], after: "b" }]);
    expect(changesOf(["a", "b", "c", "d"], ["c", "d"])).toEqual([
      { kind: "removed", path: [0], before: "a" },
      { kind: "removed", path: [1], before: "b" },
    ]);
    expect(changesOf(["a", "b"], ["x", "b", "c"])).toEqual([
      { kind: "changed", path: [0], before: "a", after: "x" },
      { kind: "added", path: [2], after: "c" },
    ]);
  });

  test("values that look alike are told apart", () => {
    for (const [a, b] of [
      [1, "1"],
      [null, false],
      [[], {}],
      [{ a: null }, {}],
      [[null], []],
    ] as Array<[Json, Json]>) {
      expect(changesOf(a, b)).toHaveLength(1);
    }
  });

  test("lists in lists take no longer than they are deep", () => {
    const nested = (core: Json) => {
      let value = core;
      for (let depth = 0; depth < 60; depth++) value = [value];
      return value;
    };
    expect(changesOf(nested(1), nested(2))).toEqual([
      { kind: "changed", path: Array.from({ length: 60 }, () => 0), before: 1, after: 2 },
    ]);
  });
});

describe("definitions", () => {
  const base: JsonObject = {
    name: "base",
    nodes: {
      start: { type: "trigger", next: { success: "ask" } },
      ask: { type: "llm", model: "openai:gpt-5-mini", prompt: "Hi", next: { success: "end", failure: "end" } },
      end: { type: "output", value: 1 },
    },
  };
  const nodes = base.nodes as { [id: string]: JsonObject };
  const withNode = (id: string, fields: JsonObject): JsonObject => ({
    ...base,
    nodes: { ...nodes, [id]: { ...nodes[id], ...fields } },
  });

  test("what means the same is equal", () => {
    const { start, ask, end } = nodes as { [id in "start" | "ask" | "end"]: JsonObject };
    const same: JsonObject[] = [
      { nodes: { end, ask, start }, name: "base" },
      { format: 1, ...base },
      withNode("end", { next: {} }),
      withNode("ask", { next: { failure: "end", success: "end" } }),
    ];
    for (const one of same) {
      expect(diffDefinitions(base, one)).toEqual({ equal: true, definition: [], nodes: [] });
      expect(diffDefinitions(one, base).equal).toBe(true);
    }
  });

  test("changes are told by node, connections apart from fields", () => {
    const after = withNode("ask", { prompt: "Hello", temperature: 0, next: { success: "start", other: "end" } });
    expect(diffDefinitions(base, after)).toEqual({
      equal: false,
      definition: [],
      nodes: [
        {
          kind: "changed",
          node: "ask",
          fields: [
            { kind: "changed", path: ["prompt"], before: "Hi", after: "Hello" },
            { kind: "added", path: ["temperature"], after: 0 },
          ],
          connections: [
            { kind: "retargeted", port: "success", before: "end", after: "start" },
            { kind: "removed", port: "failure", before: "end" },
            { kind: "added", port: "other", after: "end" },
          ],
        },
      ],
    });
  });

  test("a node under another id is one removed and one added", () => {
    const { end, ...others } = nodes;
    expect(diffDefinitions(base, { ...base, nodes: { ...others, finish: end as JsonObject } }).nodes).toEqual([
      { kind: "removed", node: "end", before: end },
      { kind: "added", node: "finish", after: end },
    ]);
  });

  test("fields of the definition are told apart from nodes", () => {
    const after = { ...base, format: 2, description: "New.", input: { type: "object" } };
    expect(diffDefinitions({ ...base, input: true }, after).definition).toEqual([
      { kind: "changed", path: ["format"], before: 1, after: 2 },
      { kind: "changed", path: ["input"], before: true, after: { type: "object" } },
      { kind: "added", path: ["description"], after: "New." },
    ]);
  });

  test("what is no definition can be compared", () => {
    const broken = { ...base, nodes: { ...nodes, ask: "llm", end: { next: { success: 1 } } } };
    const diff = diffDefinitions(base, broken);
    expect(canonical(meaning(applyDiff(base, diff)))).toBe(canonical(meaning(broken)));
    expect(diff.nodes).toEqual([
      {
        kind: "changed",
        node: "ask",
        fields: [{ kind: "changed", path: [], before: nodes.ask, after: "llm" }],
        connections: [],
      },
      {
        kind: "changed",
        node: "end",
        fields: [
          { kind: "removed", path: ["type"], before: "output" },
          { kind: "removed", path: ["value"], before: 1 },
          { kind: "added", path: ["next"], after: { success: 1 } },
        ],
        connections: [],
      },
    ]);
    expect(diffDefinitions(base, { ...base, nodes: [] }).definition).toEqual([
      { kind: "changed", path: ["nodes"], before: nodes, after: [] },
    ]);
  });

  const generated = definitions({ actions: ["a", "b"], maxNodes: 8 }).map((one) => one as unknown as JsonObject);

  test("the differences applied to the first give what the second means", () => {
    const edits = generated.chain((a) => fc.tuple(fc.constant(a), fc.oneof(generated, edited(a))));
    const parts = edits.filter(
      (both): both is [JsonObject, JsonObject] => isJsonObject(both[1]) && isJsonObject(both[1].nodes),
    );
    fc.assert(
      fc.property(parts, ([a, b]) => {
        const diff = diffDefinitions(a, b);
        expect(canonical(meaning(applyDiff(a, diff)))).toBe(canonical(meaning(b)));
        expect(diff.equal).toBe(canonical(meaning(a)) === canonical(meaning(b)));
        expect(diff.equal).toBe(diff.definition.length + diff.nodes.length === 0);
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("a definition is equal to itself, and added nodes are those removed the other way", () => {
    const ids = (diff: DefinitionDiff, kind: NodeChange["kind"]) =>
      diff.nodes
        .filter((one) => one.kind === kind)
        .map(({ node }) => node)
        .sort();
    fc.assert(
      fc.property(generated, generated, (a, b) => {
        expect(diffDefinitions(a, structuredClone(a)).equal).toBe(true);
        const [there, back] = [diffDefinitions(a, b), diffDefinitions(b, a)];
        expect(ids(there, "added")).toEqual(ids(back, "removed"));
        expect(ids(there, "removed")).toEqual(ids(back, "added"));
        expect(ids(there, "changed")).toEqual(ids(back, "changed"));
      }),
      { seed: SEED, numRuns: 100 },
    );
  });
});
