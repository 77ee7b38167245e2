/**
 * `shardflow diff`: what is different between two definitions, in meaning rather than in text.
 *
 * Owns: what the command takes for a definition. How differences are printed is in diffText.ts.
 */
import { diffDefinitions } from "../../engine/definition/diff.js";
import { migrateDefinition } from "../../engine/definition/migrate.js";
import { readSource } from "../../engine/definition/source.js";
import { isJsonObject, type JsonObject } from "../../shared/json.js";
import { CliError, EXIT, type Command, type Io } from "../command.js";
import { formatDiff } from "../diffText.js";
import { nameOfFile } from "../text.js";

export const diffCommand: Command = {
  name: "diff",
  summary: "Compare two definitions by meaning.",
  help: `Usage: shardflow diff A.json B.json [--json]

Prints what is different between two definitions, node by node: + for what only B has, - for what only A has,
~ for what has changed. The order of fields and nodes, white space, an empty "next" and a format that is only
named in one of them make no difference. Nodes are matched by id: one under another id is a removed and an added
one. Definitions need not be valid. One of an older format is compared as what it is in the current one.

Options:
  --json      Print one object instead:
              {equal,
               definition: [{kind: added|removed|changed, path, before, after}],
               nodes: [{kind: added|removed, node, before, after} |
                       {kind: changed, node, fields: [as in definition],
                        connections: [{kind: added|removed|retargeted, port, before, after}]}]}
              A path is a list of keys and positions; \`before\` is absent where something is added, \`after\` where
              it is removed. Positions of added items are those in B, others those in A.
  -h, --help  Print this text.

Exit codes: 0 equal, 1 different, 2 wrong usage, or a file that cannot be read or holds no definition.

Examples:
  shardflow diff old.json new.json
  git show HEAD:flow.json | shardflow diff - flow.json
`,
  options: { json: { type: "boolean" } },
  positionals: [2, 2],
  async run({ values, positionals: [before = "", after = ""] }, io) {
    const was = await readDefinition(before, io);
    const diff = diffDefinitions(was, await readDefinition(after, io));
    io.out(values.json === true ? `${JSON.stringify(diff, null, 2)}\n` : formatDiff(diff, was, io.colors));
    return diff.equal ? EXIT.ok : EXIT.no;
  },
};

async function readDefinition(file: string, io: Io): Promise<JsonObject> {
  const { json, problem } = readSource(await io.read(file));
  if (problem !== null) throw new CliError(`${nameOfFile(file)}: ${problem.message}`);
  if (!isJsonObject(json)) throw new CliError(`${nameOfFile(file)} holds no definition: it is not an object.`);
  // A definition of a format that cannot be read is compared as it is.
  const definition = migrateDefinition(json).definition ?? json;
  if (isJsonObject(definition.nodes)) return definition;
  const what = definition.nodes === undefined ? "missing" : "no object";
  throw new CliError(`${nameOfFile(file)} holds no definition: "nodes" is ${what}.`);
}
