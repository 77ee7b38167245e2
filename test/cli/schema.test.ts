import { Validator, type Schema } from "@cfworker/json-schema";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { draftAndRewrite } from "../../convex/draftAndRewrite.js";
import { enrichList } from "../../convex/enrichList.js";
import { ticketTriage } from "../../convex/ticketTriage.js";
import { GREETING, shardflow } from "./terminal.js";

const { code, out } = await shardflow(["schema"]);
const schema = JSON.parse(out) as Schema;
const isValid = (value: unknown) => new Validator(schema, "2020-12").validate(value).valid;

test("the schema says what it is", () => {
  expect(code).toBe(0);
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(schema.$id).toBe("urn:convex-shardflow:definition:1");
  expect(out.startsWith('{\n  "$schema"')).toBe(true);
});

test("definitions that are in use match it", () => {
  const folder = new URL("../fixtures/definitions/valid/", import.meta.url);
  const files = readdirSync(folder).map((name): unknown => JSON.parse(readFileSync(new URL(name, folder), "utf8")));
  expect(files.length).toBeGreaterThan(2);
  for (const one of [GREETING, ticketTriage, enrichList, draftAndRewrite, ...files]) expect(isValid(one)).toBe(true);
});

test("what is written wrong does not match it", () => {
  const { start, greet, done } = GREETING.nodes;
  const withNodes = (nodes: object) => ({ ...GREETING, nodes: { ...GREETING.nodes, ...nodes } });
  const wrong: unknown[] = [
    [],
    { nodes: GREETING.nodes },
    { name: "greeting" },
    { ...GREETING, $schema: "./shardflow.schema.json" },
    { ...GREETING, format: 2 },
    withNodes({ start: { ...start, type: "triger" } }),
    withNodes({ greet: { ...greet, promt: "Hi" } }),
    withNodes({ greet: { ...greet, temperature: 3 } }),
    withNodes({ greet: { ...greet, messages: [{ role: "user", content: "Hi" }] } }),
    withNodes({ greet: { ...greet, retry: { maxAttempts: 0 } } }),
    withNodes({ done: { type: "output" } }),
    withNodes({ done: { ...done, next: "greet" } }),
    withNodes({ "not an id": done }),
    withNodes({ loop: { type: "loop", body: "greet" } }),
    withNodes({ pick: { type: "switch", cases: [] } }),
  ];
  for (const one of wrong) expect(isValid(one), JSON.stringify(one)).toBe(false);
});
