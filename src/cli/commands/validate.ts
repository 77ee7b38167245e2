/**
 * `shardflow validate`: every problem of definitions, without a deployment.
 *
 * What only a deployment knows, the names of bound actions and configured model providers, is not checked.
 */
import { validateDefinition, type Validation } from "../../engine/definition/validate.js";
import { EXIT, type Command, type Io } from "../command.js";
import { count, nameOfFile, problemLine } from "../text.js";

type Checked = Validation & { file: string };

export const validateCommand: Command = {
  name: "validate",
  summary: "Find every problem of definitions.",
  help: `Usage: shardflow validate FLOW.json [MORE.json ...] [--json]

Finds every problem of each definition at once: fields, wiring, expressions, loops. Names of actions and
model providers are not checked: only the app knows them. A definition of an older format is brought to the
current one first, and the problems are about what became of it.

Each problem is one line: its place, its code, what is wrong, and what to write instead where that can be told.

Options:
  --json      Print one object instead: {valid, problems: [{code, node, path, message, suggestion}]}.
              For several files: {valid, files: [{file, valid, problems}]}.
              \`migrated: {from, to, changes}\` is there when the definition was of an older format.
  -h, --help  Print this text.

Exit codes: 0 valid, 1 invalid, 2 wrong usage or unreadable file.

Examples:
  shardflow validate flow.json
  shardflow validate flows/*.json
  generate-flow | shardflow validate - --json
`,
  options: { json: { type: "boolean" } },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run({ values, positionals }, io) {
    // All are read before anything is said: a file that is missing is no half report.
    const texts: Array<[string, string]> = [];
    for (const file of positionals) texts.push([nameOfFile(file), await io.read(file)]);
    const checked = texts.map(([file, text]): Checked => ({ file, ...validateDefinition(text) }));
    if (values.json === true) io.out(`${JSON.stringify(asJson(checked), null, 2)}\n`);
    else print(checked, io);
    return checked.every(isValid) ? EXIT.ok : EXIT.no;
  },
};

function isValid({ problems }: Checked): boolean {
  return problems.length === 0;
}

function asJson(checked: readonly Checked[]) {
  const files = checked.map((one) => ({
    file: one.file,
    valid: isValid(one),
    problems: one.problems,
    ...(one.migrated === undefined ? {} : { migrated: one.migrated }),
  }));
  const [only] = files;
  if (only === undefined || files.length > 1) return { valid: checked.every(isValid), files };
  const { file: _, ...report } = only;
  return report;
}

function print(checked: readonly Checked[], io: Io): void {
  for (const { file, problems, migrated } of checked) {
    const prefix = checked.length > 1 ? `${file}: ` : "";
    for (const problem of problems) io.out(`${prefix}${problemLine(problem)}\n`);
    const format = migrated === undefined ? "" : ` (format ${migrated.from}, read as ${migrated.to})`;
    io.out(`${file}: ${problems.length === 0 ? "valid" : count(problems.length, "problem")}${format}\n`);
  }
  if (checked.length === 1) return;
  const invalid = checked.filter((one) => !isValid(one));
  const total = invalid.reduce((sum, { problems }) => sum + problems.length, 0);
  const all = count(checked.length, "file");
  io.out(`${all}: ${invalid.length === 0 ? "valid" : `${count(total, "problem")} in ${invalid.length} of them`}\n`);
}
