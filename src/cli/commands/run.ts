/**
 * `shardflow run`: runs a flow in this process, on the component's own code, with mocks for what is outside of it.
 *
 * Owns: that everything is read and checked before anything starts, and what each outcome means as an exit code.
 */
import { parseEnv } from "node:util";
import type { Problem } from "../../engine/definition/problems.js";
import type { Definition } from "../../engine/definition/schema.js";
import { validateDefinition } from "../../engine/definition/validate.js";
import { ERROR_CODES, shardflowErrorData } from "../../shared/errors.js";
import type { Json } from "../../shared/json.js";
import { CliError, EXIT, type Command, type ExitCode, type Io, type Values } from "../command.js";
import { createApp } from "../run/app.js";
import { startDeployment } from "../run/deployment.js";
import { inEnvironment, type Environment } from "../run/environment.js";
import { runExecution } from "../run/execution.js";
import { useMockedModels } from "../run/mockedModels.js";
import { readMocks, requireMocks, unusedMocks, type Mocks } from "../run/mocks.js";
import { startModelServer } from "../run/modelServer.js";
import { formatProblems, formatReport } from "../run/report.js";
import { nameOfFile } from "../text.js";
import { createStopper } from "../run/stopping.js";

const DEFAULT_TIMEOUT_S = 300;
/** As long as a timer can wait. */
const MAX_TIMEOUT_S = 2_000_000;

const KEY_HINT = "Set the key in the environment (or with --env-file), or mock the node under `llm` in --mocks.\n";

type Options = { json: boolean; verbose: boolean; timeoutMs: number };
type Job = { definition: Definition; input: Json; mocks: Mocks; env: Environment; options: Options };

export const runCommand: Command = {
  name: "run",
  summary: "Run a flow in this process, with mocks for the app's functions and for models.",
  help: `Usage: shardflow run FLOW.json [--input FILE] [--mocks FILE] [options]

Runs a flow to its end on the component's own code, in this process. Nothing is deployed, and nothing is kept.
Every function that an action node calls needs a mock. Models of llm nodes can be mocked by node id; the others are
really called, with the configuration in the environment: OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY,
ANTHROPIC_BASE_URL, SHARDFLOW_PROVIDERS, SHARDFLOW_SECRETS. Retries and waits take their real time.

Options:
  --input FILE       JSON file with the input. Default {}.
  --mocks FILE       JSON file with the mocks.
  --env-file FILE    File of NAME=value lines; what is set in the environment already stays.
  --timeout SECONDS  Cancel the execution after this time. Default ${DEFAULT_TIMEOUT_S}.
  --json             Print one object: {status, output, error: {code, node, message}, shardIndex, executionId,
                     nodeRuns: [{node, path, attempt, status, port, output, error}], variables, usage}.
  --verbose          Print what functions log, on standard error.
  -h, --help         Print this text.

Mocks:
  {
    "actions": {
      "crm.lookup": { "kind": "query", "returns": { "tier": "gold" } },
      "mail.send": { "kind": "action", "throws": "busy", "times": 2, "then": null },
      "crm.save": { "kind": "mutation", "throws": { "code": "GONE", "message": "deleted", "retryable": false } }
    },
    "llm": {
      "classify": [{ "$error": { "status": 429, "retryAfter": 1 } }, { "category": "bug" }],
      "answer": { "patterns": [{ "match": "refund", "flags": "i", "answer": "We pay it back." }] }
    }
  }
An answer is a text, or JSON for a node with a schema; {"$text": ...} and {"$json": ...} say which. Of a list the last
answer is repeated. Patterns are regular expressions, tried in order on what the user says in the prompt.

Exit codes: 0 succeeded, 1 failed, canceled or invalid, 2 wrong usage, input or mocks, ${EXIT.interrupted} interrupted by Ctrl-C.

Examples:
  shardflow run triage.json --input ticket.json --mocks mocks.json
  echo '{"id": 7}' | shardflow run triage.json --input - --json
`,
  options: {
    input: { type: "string" },
    mocks: { type: "string" },
    "env-file": { type: "string" },
    timeout: { type: "string" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
  },
  positionals: [1, 1],
  run: async ({ values, positionals: [flow = ""] }, io) => {
    const options = readOptions(values);
    const { definition, problems } = validateDefinition(await io.read(flow));
    if (definition === null) return refuse(problems, flow, options, io);
    const job = { definition, ...(await readFiles(values, definition, io)), options };
    try {
      return await runJob(job, io);
    } catch (error) {
      const data = shardflowErrorData(error);
      if (data === null || ERROR_CODES[data.code].class === "internal") throw error;
      // What only the environment tells: providers of models that are not configured.
      if (data.code === "DEFINITION_INVALID" && Array.isArray(data.problems)) {
        return refuse(data.problems as Problem[], flow, options, io);
      }
      throw new CliError(`${data.code}: ${data.message}`);
    }
  },
};

async function readFiles(
  values: Values,
  definition: Definition,
  io: Io,
): Promise<Pick<Job, "input" | "mocks" | "env">> {
  const { input, mocks: mocksFile, "env-file": envFile } = values;
  const mocks = await readMocksOf(definition, mocksFile, io);
  return {
    mocks,
    input: typeof input === "string" ? await readJson(input, io) : {},
    // As with Node's own --env-file, what is set already stays.
    env: typeof envFile === "string" ? { ...parseEnv(await io.read(envFile)), ...io.env } : io.env,
  };
}

async function readMocksOf(definition: Definition, file: Values[string], io: Io): Promise<Mocks> {
  const mocks =
    typeof file === "string"
      ? readMocks(await readJson(file, io), file, definition)
      : { actions: new Map(), llm: new Map() };
  requireMocks(definition, mocks);
  for (const name of unusedMocks(definition, mocks)) {
    io.err(`Warning: the flow never calls the mocked action "${name}".\n`);
  }
  return mocks;
}

async function readJson(file: string, io: Io): Promise<Json> {
  const text = await io.read(file);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new CliError(`${nameOfFile(file)} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readOptions({ json, verbose, timeout = String(DEFAULT_TIMEOUT_S) }: Values): Options {
  const seconds = Number(timeout);
  if (!(seconds > 0 && seconds <= MAX_TIMEOUT_S)) {
    throw new CliError(
      `--timeout takes a number of seconds over 0, at most ${MAX_TIMEOUT_S}, not "${String(timeout)}".`,
    );
  }
  return { json: json === true, verbose: verbose === true, timeoutMs: seconds * 1000 };
}

function refuse(problems: Problem[], flow: string, { json }: Options, io: Io): ExitCode {
  io.out(json ? `${JSON.stringify({ status: "invalid", problems }, null, 2)}\n` : formatProblems(problems, flow));
  return EXIT.no;
}

async function runJob({ definition: source, input, mocks, env: userEnv, options }: Job, io: Io): Promise<ExitCode> {
  const app = createApp(mocks.actions);
  const models = await startModelServer(mocks.llm);
  const { definition, env } = useMockedModels(source, userEnv, mocks.llm.keys(), models.baseUrlOf);
  const stopper = createStopper(options.timeoutMs);
  try {
    return await inEnvironment(
      env,
      (line) => (options.verbose ? io.err(`${line}\n`) : undefined),
      async () => {
        const deployment = await startDeployment(app.modules);
        const { report, durations, stop } = await runExecution(deployment, app.flows, definition, input, stopper);
        io.out(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report, durations, io.colors));
        if (report.error?.code === "MODEL_KEY_MISSING") io.err(KEY_HINT);
        if (stop?.interrupted === true) return EXIT.interrupted;
        return report.status === "succeeded" ? EXIT.ok : EXIT.no;
      },
    );
  } finally {
    stopper.clear();
    models.close();
  }
}
