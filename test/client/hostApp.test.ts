/** The app in convex/ as a deployment would take it: bundled for Convex's runtime and evaluated as at push. */
import path from "node:path";
import { expect, test } from "vitest";
import { entryPoints, loadDefinition, loadPublicFunctions, REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { hostServer } from "../../scripts/codegen/templates.js";

const APP = path.join(REPO_ROOT, "convex");

test("it bundles without Node's modules, and offers clients these functions and no others", async () => {
  const { envVars } = await loadDefinition(APP);
  const all = await loadPublicFunctions(APP, hostServer(envVars).code);
  // What the stress tests drive is not part of the app that is shown.
  const functions = all.filter(({ module }) => !module.startsWith("stress/"));
  expect(functions.map(({ module, name, kind }) => `${kind} ${module}:${name}`).sort()).toEqual([
    "mutation shardflow:cancelWorkflow",
    "mutation shardflow:startWorkflow",
    "mutation ticketTriage:submit",
    "query shardflow:describeExecution",
    "query shardflow:getStatus",
    "query shardflow:listExecutions",
    "query shardflow:listNodeRuns",
  ]);
  for (const { name, args, returns } of functions) {
    expect(args?.type, `arguments of ${name}`).toBe("object");
    expect(returns, `result of ${name}`).not.toBeNull();
  }
  expect(JSON.stringify(functions)).not.toContain('"type":"any"');
});

test("its files have names that Convex takes", () => {
  for (const file of entryPoints(APP))
    expect(file).toMatch(/^([a-zA-Z0-9_]{1,60}\/)*[a-zA-Z0-9_]{1,60}(\.config)?\.ts$/);
});

test("it hands the component every variable that the component reads", async () => {
  const { envVars: ofApp } = await loadDefinition(APP);
  const { envVars: ofComponent } = await loadDefinition(path.join(REPO_ROOT, "src/component"));
  const names = (vars: typeof ofApp) => vars.map(([name]) => name);
  expect(names(ofApp)).toEqual(expect.arrayContaining(names(ofComponent)));
});
