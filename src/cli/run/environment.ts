/**
 * What a deployment gives to the functions it runs, for as long as the flow runs: environment variables and a log.
 *
 * Owns: which variables reach the component, and where the console goes. Invariant: afterwards the process is as before,
 * and nothing that a function logs reaches standard output.
 */

/** Those that the component declares in its convex.config, and so all that reach it. */
const VARIABLES = [
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_BASE_URL",
  "SHARDFLOW_PROVIDERS",
  "SHARDFLOW_SECRETS",
] as const;

/** What workpool's convex.config passes to its batch worker, which must not see a variable of that name from a shell. */
const FIXED = { LOG_LEVEL: "REPORT" } as const;

const LEVELS = ["log", "info", "debug", "warn", "error", "trace"] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Runs with these variables and this log.
 * @param log - one line at a time, without a newline.
 */
export async function inEnvironment<T>(
  env: Environment,
  log: (line: string) => void,
  run: () => Promise<T>,
): Promise<T> {
  const given = { ...Object.fromEntries(VARIABLES.map((name) => [name, env[name]])), ...FIXED };
  const before = Object.keys(given).map((name) => [name, process.env[name]] as const);
  const methods = Object.fromEntries(
    LEVELS.map((level) => [level, Object.getOwnPropertyDescriptor(console, level)?.value]),
  );
  for (const [name, value] of Object.entries(given)) setVariable(name, value);
  for (const level of LEVELS) console[level] = (...parts: unknown[]) => log(`${level}: ${parts.map(asText).join(" ")}`);
  try {
    return await run();
  } finally {
    for (const [name, value] of before) setVariable(name, value);
    Object.assign(console, methods);
  }
}

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

function asText(part: unknown): string {
  if (typeof part === "string") return part;
  return part instanceof Error ? (part.stack ?? part.message) : (JSON.stringify(part) ?? String(part));
}
