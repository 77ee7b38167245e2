/**
 * The bundle as Convex builds it, in a runtime without Node: what it needs from the runtime, and what it does on its own.
 */
import { fileURLToPath } from "node:url";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import { KB } from "../../src/shared/limits.js";
import { envFor, KINDS, NOW, serve } from "./harness.js";

/** As measured, and some room. Evaluated for every stretch, so it is watched. */
const MAX_BUNDLE_BYTES = 1_000 * KB;
const ENTRY = fileURLToPath(new URL("../../src/models/callModel.ts", import.meta.url));

let code = "";
let imports: string[] = [];

beforeAll(async () => {
  const result = await build({
    entryPoints: [ENTRY],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "iife",
    globalName: "models",
    // A Node built-in is an error on this platform.
    platform: "browser",
    conditions: ["convex", "module"],
  });
  code = result.outputFiles[0]!.text;
  imports = Object.values(result.metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
});

/** A runtime that records what the bundle does while it is loaded and used. */
function load(): { vm: EdgeVM; log: () => string[] } {
  const vm = new EdgeVM();
  vm.evaluate(`
    globalThis.log = [];
    for (const name of ["setTimeout", "setInterval", "fetch"]) {
      const original = globalThis[name];
      globalThis[name] = (...args) => { log.push(name); return original(...args); };
    }
    for (const name of ["log", "info", "warn", "error"]) console[name] = () => log.push("console." + name);
    globalThis.process = { env: new Proxy({}, { get: (_, name) => { log.push("env " + String(name)); return undefined; } }) };
  `);
  vm.evaluate(`${code};globalThis.models = models;`);
  return { vm, log: () => vm.evaluate<string[]>("log.splice(0)") };
}

describe("the bundle", () => {
  it("is whole, and not larger than it was", () => {
    expect(imports).toEqual([]);
    expect(code.length).toBeLessThan(MAX_BUNDLE_BYTES);
  });

  it("does nothing when it is loaded", () => {
    // The libraries build a default provider that nobody can reach; it looks for an address and drops it.
    expect(
      load()
        .log()
        .filter((entry) => !/^env (OPENAI|ANTHROPIC)_BASE_URL$/.test(entry)),
    ).toEqual([]);
  });

  it.each(KINDS)("$kind: answers, with the runtime's fetch and nothing else", async ({ model }) => {
    const server = await serve({ text: "no JSON" }, { json: { a: 1 } });
    const { vm, log } = load();
    log();
    const request = {
      model,
      messages: [{ role: "user", content: "Say hello" }],
      schema: { type: "object", properties: { a: { type: "number" } } },
      repairAttempts: 1,
      maxOutputTokens: 5,
      temperature: 1,
    };
    const result = await vm.evaluate<Promise<unknown>>(`
      models.callModel(${JSON.stringify(request)}, {
        config: models.readModelConfig(${JSON.stringify(envFor(server.url))}),
        signal: new AbortController().signal,
        now: () => ${NOW},
      })
    `);
    expect(result).toMatchObject({ ok: true, output: { a: 1 }, usage: { calls: 2 } });
    expect(log()).toEqual(["fetch", "fetch"]);
  });
});
