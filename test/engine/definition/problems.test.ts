import { readdirSync, readFileSync } from "node:fs";
import { Validator } from "@cfworker/json-schema";
import { describe, expect, test } from "vitest";
import { PROBLEM_CODES, type Problem } from "../../../src/engine/definition/problems.js";
import { definitionJsonSchema } from "../../../src/engine/definition/schema.js";
import { validateDefinition } from "../../../src/engine/definition/validate.js";
import { isJsonObject, type Json, type JsonObject } from "../../../src/shared/json.js";

type Fixture = {
  definition: Json;
  /** Makes the definition large without a large file: characters of the description, number of nodes. */
  grow?: { description?: number; nodes?: number };
  known?: { actions?: string[]; providers?: string[] };
  expect: Array<Pick<Problem, "code" | "node" | "path">>;
};

const folder = new URL("../../fixtures/definitions/", import.meta.url);

function load<T>(kind: "problems" | "valid"): Array<{ name: string; fixture: T }> {
  const files = readdirSync(new URL(`${kind}/`, folder)).sort();
  return files.map((file) => {
    return {
      name: file.replace(".json", ""),
      fixture: JSON.parse(readFileSync(new URL(`${kind}/${file}`, folder), "utf8")) as T,
    };
  });
}

function grown({ definition, grow = {} }: Fixture): Json {
  if (!isJsonObject(definition) || !isJsonObject(definition.nodes)) return definition;
  if (grow.description !== undefined) return { ...definition, description: "x".repeat(grow.description) };
  const nodes = { ...definition.nodes };
  for (let i = Object.keys(nodes).length; i < (grow.nodes ?? 0); i++) nodes[`n${i}`] = { type: "action", action: "a" };
  return { ...definition, nodes };
}

function validate(fixture: Fixture, source: Json = grown(fixture)): ReturnType<typeof validateDefinition> {
  const { actions, providers } = fixture.known ?? {};
  return validateDefinition(source, {
    knownActions: actions && new Set(actions),
    knownProviders: providers && new Set(providers),
  });
}

const fixtures = load<Fixture>("problems");
const valid = load<Json>("valid");

describe("problem fixtures", () => {
  test.each(fixtures)("$name", ({ name, fixture }) => {
    const { problems, definition } = validate(fixture);
    expect(problems.map(({ code, node, path }) => ({ code, node, path }))).toEqual(fixture.expect);
    expect(problems.map(({ code }) => code)).toContain(name.replace(/-.*$/, ""));
    expect(definition).toBeNull();
    for (const { message, suggestion } of problems) {
      expect(message).toMatch(/\S [\s\S]*\S\.$/);
      expect(suggestion).not.toBe("");
    }
  });

  test.each(fixtures)("$name gives the same as JSON text", ({ fixture }) => {
    const definition = grown(fixture);
    const text = typeof definition === "string" ? definition : JSON.stringify(definition, null, 1);
    expect(validate(fixture, text)).toEqual(validate(fixture));
  });

  test("every code has a fixture", () => {
    const codes = new Set(fixtures.map(({ name }) => name.replace(/-.*$/, "")));
    expect([...codes].sort()).toEqual(Object.keys(PROBLEM_CODES).sort());
  });
});

describe("valid fixtures", () => {
  test.each(valid)("$name", ({ fixture }) => {
    expect(validateDefinition(fixture)).toEqual({ problems: [], definition: fixture });
  });
});

describe("suggestions", () => {
  const suggestionsOf = (name: string) => {
    const found = fixtures.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no fixture ${name}`);
    return Object.fromEntries(validate(found.fixture).problems.map(({ path, suggestion }) => [path, suggestion]));
  };

  test("unknown names lead to the nearest known one", () => {
    expect(suggestionsOf("FIELD_UNKNOWN")).toEqual({
      "defaults.retries": null,
      nodez: "nodes",
      "nodes.start.nxt": "next",
      "nodes.ask.messages[0].name": null,
      "nodes.ask.temprature": "temperature",
      "nodes.pick.retry.maxAttempt": "maxAttempts",
      "nodes.pick.cases[0].prot": "port",
      "nodes.each.carry.n.nxt": "next",
      "nodes.each.untill": "until",
    });
    expect(suggestionsOf("TARGET_UNKNOWN")).toEqual({
      "nodes.start.next.success": "classify",
      "nodes.classify.next.success": null,
      "nodes.each.body": "step",
    });
    expect(suggestionsOf("PORT_UNKNOWN")).toMatchObject({
      "nodes.call.next.sucess": "success",
      "nodes.check.next.yes": null,
    });
    expect(suggestionsOf("NODE_TYPE_UNKNOWN")).toMatchObject({ "nodes.wait.type": "action", "nodes.far.type": null });
    expect(suggestionsOf("ACTION_UNKNOWN")).toEqual({ "nodes.call.action": "crm.lookup" });
    expect(suggestionsOf("MODEL_PROVIDER_UNKNOWN")).toEqual({ "nodes.ask.model": "openai:gpt-5" });
    expect(suggestionsOf("SCHEMA_INVALID-fields")).toMatchObject({ "nodes.call.retry.on[0]": "timeout" });
  });

  test("braces around an expression are to be left out", () => {
    expect(suggestionsOf("EXPRESSION_INVALID-braces")).toEqual({
      "nodes.check.if": "input.a == 1",
      "nodes.each.until": "index > 3",
    });
  });

  test("text around the one expression of a list is to be left out", () => {
    expect(suggestionsOf("TEMPLATE_NOT_LIST")).toEqual({
      "nodes.each.items": "{{ input.items }}",
      "nodes.ask.messages": null,
      "nodes.more.items": "{{ input.items }}",
    });
  });

  test("suggested names are valid and free", () => {
    expect(suggestionsOf("NAME_SHADOWED-defaults")).toEqual({
      "nodes.inner.item": "inner_item",
      "nodes.inner.index": "inner_index",
    });
    expect(suggestionsOf("NODE_ID_INVALID")).toMatchObject({
      "nodes.input": "input_",
      'nodes["two words"]': "two_words",
      'nodes["größe"]': "gro_e",
    });
  });

  test("a node in a loop is read through the loop", () => {
    expect(suggestionsOf("NODE_NOT_READABLE-loops")).toMatchObject({
      "nodes.out.value[0]": "nodes.outer.output",
      "nodes.out.value[1]": "nodes.outer.output",
      "nodes.d.args.x": "nodes.inner.output",
      "nodes.outer.collect": "nodes.inner.output",
      "nodes.outer.items": null,
    });
  });

  test("why a node is not readable is told", () => {
    const later = (nodes: JsonObject) => {
      const { problems } = validateDefinition({
        name: "x",
        nodes: { start: { type: "trigger", next: { success: "a" } }, ...nodes },
      });
      return problems.map(({ code, message }) => `${code}: ${message}`);
    };
    const read = (id: string) => ({ x: `{{ nodes.${id}.output }}` });
    expect(later({ a: { type: "action", action: "x", args: read("a") } })).toEqual([
      "NODE_NOT_READABLE: `a` reads `nodes.a`, but a node cannot read what it gives itself.",
    ]);
    expect(
      later({ a: { type: "loop", items: [1], body: "b" }, b: { type: "action", action: "x", args: read("a") } }),
    ).toEqual([
      "NODE_NOT_READABLE: `b` reads `nodes.a`, but it is a loop around this node, which has not ended; what it holds so far is in `loop` and `loops`.",
    ]);
    expect(
      later({
        a: { type: "action", action: "x", args: read("b"), next: { success: "b" } },
        b: { type: "action", action: "x" },
      }),
    ).toEqual([
      "NODE_NOT_READABLE: `a` reads `nodes.b`, but no path leads from it to this node within one pass; read a node that comes before, or change the order.",
    ]);
  });

  test("a cycle is named in order, with the loop that would do", () => {
    const found = validateDefinition({
      name: "x",
      nodes: {
        start: { type: "trigger", next: { success: "a" } },
        a: { type: "action", action: "x", next: { success: "b" } },
        b: { type: "action", action: "x", next: { success: "a" } },
      },
    });
    expect(found.problems).toEqual([
      {
        code: "GRAPH_CYCLE",
        node: "b",
        path: "nodes.b.next.success",
        message: "The nodes lead back to themselves: `a` → `b` → `a`. Only loop nodes repeat.",
        suggestion: 'Use a loop node with "body": "a" and an "until" expression, and leave out the port success of b.',
      },
    ]);
  });
});

describe("the published JSON Schema", () => {
  const schema = definitionJsonSchema();
  const matches = (value: Json) => new Validator(schema as object, "2020-12", false).validate(value).valid;
  /** Problems that the schema can see; the others concern several fields or nodes, expressions, or names of the app. */
  const VISIBLE: ReadonlySet<string> = new Set([
    "SCHEMA_INVALID",
    "FIELD_UNKNOWN",
    "NODE_TYPE_UNKNOWN",
    "FIELDS_CONFLICT",
    "LOOP_UNBOUNDED",
  ]);

  test.each(valid)("takes $name", ({ fixture }) => {
    expect(matches(fixture)).toBe(true);
  });

  test.each(fixtures.filter(({ fixture }) => fixture.expect.some(({ code }) => VISIBLE.has(code))))(
    "refuses $name",
    ({ fixture }) => {
      expect(matches(fixture.definition)).toBe(false);
    },
  );

  test("every field is described", () => {
    const bare: string[] = [];
    const visit = (value: Json, path: string): void => {
      if (Array.isArray(value)) return value.forEach((member, i) => visit(member, `${path}[${i}]`));
      if (!isJsonObject(value)) return;
      for (const [key, member] of Object.entries(isJsonObject(value.properties) ? value.properties : {})) {
        const isTag = isJsonObject(member) && member.const !== undefined;
        if (isJsonObject(member) && member.description === undefined && !isTag) bare.push(`${path}.${key}`);
      }
      for (const [key, member] of Object.entries(value)) visit(member, `${path}.${key}`);
    };
    visit(schema, "$");
    expect(bare).toEqual([]);
  });
});
