/** `shardflow schema`: the format of definitions as JSON Schema, for editors and other tools. */
import { CURRENT_DEFINITION_FORMAT } from "../../engine/definition/migrations.js";
import { definitionJsonSchema } from "../../engine/definition/schema.js";
import { isJsonObject } from "../../shared/json.js";
import { EXIT, type Command } from "../command.js";

/** Names the schema and leads nowhere: nothing is fetched for it. */
const SCHEMA_ID = `urn:convex-shardflow:definition:${CURRENT_DEFINITION_FORMAT}`;

export const schemaCommand: Command = {
  name: "schema",
  summary: "Print the JSON Schema of definitions, for editors.",
  help: `Usage: shardflow schema

Prints the format of definitions as JSON Schema (draft 2020-12), with a description of every field. It shows
what can be written where; rules between nodes and expressions are checked by \`shardflow validate\` only.

A definition has no field "$schema". Tell the editor which files are definitions instead; in VS Code, in
.vscode/settings.json:

  "json.schemas": [{ "fileMatch": ["flows/*.json"], "url": "./shardflow.schema.json" }]

Options:
  -h, --help  Print this text.

Exit codes: 0 done, 2 wrong usage.

Example:
  shardflow schema > shardflow.schema.json
`,
  options: {},
  positionals: [0, 0],
  async run(_args, io) {
    const schema = definitionJsonSchema();
    const { $schema, ...rest } = isJsonObject(schema) ? schema : {};
    const document = { $schema, $id: SCHEMA_ID, title: "Shardflow definition", ...rest };
    io.out(`${JSON.stringify(document, null, 2)}\n`);
    return EXIT.ok;
  },
};
