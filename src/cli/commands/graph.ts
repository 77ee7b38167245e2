/** `shardflow graph`: a definition as a picture, in the language of Mermaid. */
import { toMermaid, type Direction } from "../../engine/definition/mermaid.js";
import { validateDefinition } from "../../engine/definition/validate.js";
import { CliError, EXIT, type Command, type Values } from "../command.js";
import { count, nameOfFile, problemLine } from "../text.js";

const DIRECTIONS: readonly Direction[] = ["TD", "LR"];

export const graphCommand: Command = {
  name: "graph",
  summary: "Draw a definition as a Mermaid flowchart.",
  help: `Usage: shardflow graph FLOW.json [--direction TD|LR]

Prints a Mermaid flowchart, which GitHub and many editors draw. Stadiums are the trigger and outputs, rhombs
conditions and switches, hexagons loops; the body of a loop is a box. Connections are labelled with their port,
except \`success\`. The same definition always gives the same text.

Options:
  --direction TD|LR  From the top down (default), or from left to right.
  -h, --help         Print this text.

Exit codes: 0 drawn, 1 the definition is invalid (its problems are printed), 2 wrong usage or unreadable file.

Example:
  shardflow graph flow.json > flow.mmd
`,
  options: { direction: { type: "string" } },
  positionals: [1, 1],
  async run({ values, positionals: [file = ""] }, io) {
    const direction = readDirection(values);
    const { definition, problems } = validateDefinition(await io.read(file));
    if (definition !== null) {
      io.out(toMermaid(definition, direction));
      return EXIT.ok;
    }
    for (const problem of problems) io.err(`${problemLine(problem)}\n`);
    io.err(`${nameOfFile(file)}: ${count(problems.length, "problem")}, nothing is drawn.\n`);
    return EXIT.no;
  },
};

function readDirection({ direction = "TD" }: Values): Direction {
  const known = DIRECTIONS.find((one) => one === direction);
  if (known === undefined) throw new CliError(`--direction is ${String(direction)}. Use ${DIRECTIONS.join(" or ")}.`);
  return known;
}
