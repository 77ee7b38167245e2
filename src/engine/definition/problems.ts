/**
 * What can be wrong with a definition.
 *
 * Owns: the table of problem codes, the shape of a problem, and how a place in a definition is written.
 * Invariant: a problem is built only by {@link problem}; a code is stable for ever.
 */

export const PROBLEM_CODES = {
  // The document
  NOT_JSON: "The definition is not JSON text, or holds something JSON cannot carry.",
  TOO_LARGE: "The definition has more bytes than allowed.",
  FORMAT_UNSUPPORTED:
    "The definition is of a format that this version does not read, or it could not be brought to the current one.",
  TOO_MANY_NODES: "The definition has more nodes than allowed.",
  SCHEMA_INVALID: "A field is missing, of the wrong type, or out of range.",
  FIELD_UNKNOWN: "There is no field of that name here.",
  FIELDS_CONFLICT: "Of two fields exactly one must be given.",
  FIELD_UNUSED: "A field has no effect without another one that is missing.",
  INPUT_SCHEMA_INVALID: "`input` is not a valid JSON Schema.",
  // Names
  NODE_ID_INVALID: "A node id is not an identifier, too long, or reserved.",
  NAME_INVALID:
    "The name of a variable, an item, an index or a carried value is not an identifier, too long, or reserved.",
  NAME_SHADOWED: "An item or index name is already taken by the other one or by an enclosing loop.",
  PORT_NAME_INVALID: "The port of a switch case is not an identifier, too long, or reserved.",
  // Nodes
  NODE_TYPE_UNKNOWN: "The node has no type, or one that does not exist.",
  TRIGGER_MISSING: "No node is a trigger, so that executions cannot begin.",
  TRIGGER_MULTIPLE: "More than one node is a trigger.",
  ACTION_UNKNOWN: "No function is bound to the action name.",
  MODEL_INVALID: "The model is not of the form `provider:name`.",
  MODEL_PROVIDER_UNKNOWN: "The provider of the model is not known.",
  LLM_SCHEMA_INVALID: "The `schema` of an llm node is not a valid JSON Schema.",
  EXPRESSION_INVALID: "An expression or template does not parse, names something unknown, or is over a bound.",
  TEMPLATE_NOT_LIST: "A list is needed, but the template can only give text.",
  NODE_NOT_READABLE:
    "An expression reads a node that cannot have run before it in the same pass or in an enclosing one.",
  // The graph
  TARGET_UNKNOWN: "A port or a loop body leads to a node that does not exist.",
  TARGET_IS_TRIGGER: "A port or a loop body leads to the trigger.",
  PORT_UNKNOWN: "The node has no port of that name.",
  GRAPH_CYCLE: "Nodes lead back to themselves; only loop nodes repeat.",
  NODE_UNREACHABLE: "No path leads from the trigger to the node.",
  // Loops
  LOOP_BODY_LEAK: "A loop body leads to a node that is also reached from outside of that body.",
  LOOP_BODY_SHARED: "A node is in the bodies of two loops, of which neither is inside of the other.",
  LOOP_UNBOUNDED: "A loop has neither `items` nor `until`.",
  LOOP_NOT_SEQUENTIAL: "`until` and `carry` need passes that run one after the other.",
  LOOP_TOO_DEEP: "Loops are nested deeper than allowed.",
  LOOP_TOO_PARALLEL: "Nested loops together run more passes at once than allowed.",
  OUTPUT_IN_LOOP: "An output node is in a loop body; it ends the whole execution.",
  SET_IN_PARALLEL: "A set node is in the body of a loop that runs passes at once: parallel writers are refused.",
} as const satisfies Record<string, string>;

export type ProblemCode = keyof typeof PROBLEM_CODES;

export type Problem = {
  code: ProblemCode;
  /** Id of the node it is about, or null for the definition as a whole. */
  node: string | null;
  /** Place in the definition, as in `nodes.classify.cases[0].port`; empty for the whole. */
  path: string;
  message: string;
  /** What to write instead, where that can be told. */
  suggestion: string | null;
};

export type PathSegment = string | number;
export type Path = readonly PathSegment[];

/** Builds a problem; the node is told from the path. */
export function problem(code: ProblemCode, path: Path, message: string, suggestion: string | null = null): Problem {
  const node = path[0] === "nodes" && typeof path[1] === "string" ? path[1] : null;
  return { code, node, path: formatPath(path), message, suggestion };
}

export function formatPath(path: Path): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (!/^[A-Za-z_$][\w$]*$/.test(segment)) text += `[${JSON.stringify(segment)}]`;
    else text += text === "" ? segment : `.${segment}`;
  }
  return text;
}
