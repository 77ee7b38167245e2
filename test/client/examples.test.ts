/** The docs of the client: every exported function and method has its guarantee, its errors and an example that compiles. */
import { describe, expect, it } from "vitest";
import { documented, examples } from "./clientDocs.js";
import { compile } from "./compile.js";

describe("the docs of the client", () => {
  it("are found", () => {
    const names = documented.map(({ name }) => name);
    for (const name of ["Shardflow.startWorkflow", "Definitions.publish", "Admin.configure", "exposeApi"]) {
      expect(names).toContain(name);
    }
    expect(examples.length).toBeGreaterThanOrEqual(documented.length);
  });

  it.each(documented)("say what $name guarantees, throws and looks like", ({ text }) => {
    expect(text).toMatch(/Guarantee: \S/);
    expect(text).toMatch(/@throws \S/);
    expect(text).toMatch(/@example\n```ts\n/);
  });

  it("have examples that compile, as a wrong one would not", { timeout: 120_000 }, () => {
    const wrong = 'await shardflow.startWorkflow(ctx, { definitoin: "x" });';
    const [ofWrong, ...errors] = compile([wrong, ...examples.map(({ code }) => code)]);
    expect(ofWrong).toHaveLength(1);
    const failed = examples.flatMap((example, i) =>
      (errors[i] ?? ["it was not compiled"]).map((error) => ({ ...example, error })),
    );
    expect(failed).toEqual([]);
  });
});
