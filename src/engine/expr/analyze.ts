/**
 * What can be said about an expression before it runs.
 *
 * Owns: which names an expression may use where it stands, and what it reads. Invariant: the reads are complete, since
 * `nodes` can only be read by an id that is written out; a scope that holds just them gives the same result.
 */
import { createSuggester, type Suggester } from "../definition/suggest.js";
import type { Reads, Template } from "../plan.js";
import { bodiesOf, operandsOf, type Expr } from "./ast.js";
import type { ExpressionProblem } from "./error.js";
import { parseExpression } from "./parse.js";

/** The names in scope where an expression stands. */
export type ScopeNames = {
  /** Ids of the nodes whose output may be read. */
  nodes: ReadonlySet<string>;
  /** Names of items and indexes of the loops around. */
  locals: ReadonlySet<string>;
  inLoop: boolean;
  /** Ids of the loops around. */
  loops: ReadonlySet<string>;
  /** Whether `secret()` is allowed here. */
  secrets: boolean;
};

export type Analysis = { problems: ExpressionProblem[]; reads: Reads };

const READ_NAMES = ["input", "vars", "context"] as const;
const OTHER_NAMES = ["execution", "node"] as const;
const NO_VARIABLES: ReadonlySet<string> = new Set();

/** @param suggest - pass one for a whole definition, which bounds the work on one with thousands of wrong names. */
export function analyzeExpression(source: string, names: ScopeNames, suggest: Suggester = createSuggester()): Analysis {
  const { expr, problems } = parseExpression(source);
  const analyzer = new Analyzer(source, names, suggest);
  if (expr !== null) analyzer.visit(expr, NO_VARIABLES);
  return { problems: [...problems, ...analyzer.problems], reads: analyzer.reads };
}

/** Analyses every expression of a template. */
export function analyzeTemplate(
  template: Template,
  names: ScopeNames,
  suggest: Suggester = createSuggester(),
): Analysis {
  return merge(sourcesOf(template).map((source) => analyzeExpression(source, names, suggest)));
}

function sourcesOf(template: Template): string[] {
  switch (template.kind) {
    case "literal":
      return [];
    case "expression":
      return [template.source];
    case "text":
      return template.parts.flatMap((part) => (typeof part === "string" ? [] : [part.source]));
    case "array":
      return template.items.flatMap(sourcesOf);
    case "object":
      return template.entries.flatMap(([, member]) => sourcesOf(member));
  }
}

function merge(analyses: Analysis[]): Analysis {
  const reads = analyses.map((analysis) => analysis.reads);
  return {
    problems: analyses.flatMap((analysis) => analysis.problems),
    reads: {
      nodes: [...new Set(reads.flatMap((one) => one.nodes))].sort(),
      input: reads.some((one) => one.input),
      vars: reads.some((one) => one.vars),
      context: reads.some((one) => one.context),
    },
  };
}

class Analyzer {
  readonly problems: ExpressionProblem[] = [];
  readonly #source: string;
  readonly #names: ScopeNames;
  readonly #suggest: Suggester;
  readonly #reported = new Set<string>();
  readonly #read = new Set<string>();
  readonly #nodes = new Set<string>();

  constructor(source: string, names: ScopeNames, suggest: Suggester) {
    this.#source = source;
    this.#names = names;
    this.#suggest = suggest;
  }

  get reads(): Reads {
    const [input, vars, context] = READ_NAMES.map((name) => this.#read.has(name));
    return { nodes: [...this.#nodes].sort(), input: input === true, vars: vars === true, context: context === true };
  }

  /** @param variables - the variables of the macros around. */
  visit(expr: Expr, variables: ReadonlySet<string>): void {
    if (expr.kind === "name") {
      if (!variables.has(expr.name)) this.#name(expr.name);
      return;
    }
    if (expr.kind === "secret" && !this.#names.secrets) {
      this.#report("secret() is not allowed here; it can stand in arguments that are sent out.");
    }
    if (this.#isById(expr, variables)) return;
    const bareKeys = expr.kind === "map" ? this.#bareKeys(expr, variables) : [];
    for (const operand of operandsOf(expr)) if (!bareKeys.includes(operand)) this.visit(operand, variables);
    if (expr.kind !== "macro" && expr.kind !== "bind") return;
    const inner = new Set([...variables, expr.variable]);
    for (const body of bodiesOf(expr)) this.visit(body, inner);
  }

  /** Reports keys that were written without quotes, as in JavaScript. */
  #bareKeys(map: Extract<Expr, { kind: "map" }>, variables: ReadonlySet<string>): Expr[] {
    const bare = map.entries.flatMap(([key]) =>
      key.kind === "name" && !variables.has(key.name) && !this.#isKnown(key.name) ? [key] : [],
    );
    for (const { name } of bare) {
      this.#report(`The key \`${name}\` of a map literal needs quotes.`, () => JSON.stringify(name));
    }
    return bare;
  }

  /** Handles `nodes.<id>` and `loops.<id>`, the only forms in which the two may be used. */
  #isById(expr: Expr, variables: ReadonlySet<string>): boolean {
    if ((expr.kind !== "select" && expr.kind !== "index") || expr.target.kind !== "name") return false;
    const collection = expr.target.name;
    if ((collection !== "nodes" && collection !== "loops") || variables.has(collection)) return false;
    const id = expr.kind === "select" ? expr.key : expr.key.kind === "literal" ? expr.key.value : null;
    if (typeof id !== "string") {
      this.#report(
        `\`${collection}\` is read by an id that is written out: ${collection}.someId or ${collection}["someId"].`,
      );
      if (expr.kind === "index") this.visit(expr.key, variables);
      return true;
    }
    const known = this.#names[collection];
    if (!known.has(id)) {
      const what = collection === "nodes" ? "There is no node" : "There is no loop around this node with the id";
      this.#report(`${what} \`${id}\`.`, () => {
        const near = this.#suggest(id, known);
        return near === null ? null : `${collection}.${near}`;
      });
    } else if (collection === "nodes") this.#nodes.add(id);
    return true;
  }

  #name(name: string): void {
    if (name === "nodes" || name === "loops") {
      this.#report(`\`${name}\` cannot be used as a whole; read one entry by its id, as in ${name}.someId.`);
    } else if (this.#isKnown(name)) {
      if ((READ_NAMES as readonly string[]).includes(name)) this.#read.add(name);
    } else this.#unknown(name);
  }

  #isKnown(name: string): boolean {
    return this.#known().includes(name);
  }

  #known(): string[] {
    const { locals, inLoop } = this.#names;
    return [...READ_NAMES, ...OTHER_NAMES, "nodes", ...(inLoop ? ["loop"] : []), "loops", ...locals];
  }

  #unknown(name: string): void {
    if (name === "loop") {
      this.#report("`loop` exists only in the body of a loop.");
    } else if (this.#names.nodes.has(name)) {
      this.#report(`Nothing is called \`${name}\` here. A node is read through \`nodes\`.`, () => `nodes.${name}`);
    } else {
      const known = this.#known();
      const message = `Nothing is called \`${name}\` here. Known names: ${known.join(", ")}. Text is written in quotes.`;
      this.#report(message, () => this.#suggest(name, known));
    }
  }

  /** Reports each problem once. */
  #report(message: string, suggest: () => string | null = () => null): void {
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    const problem: ExpressionProblem = { code: "EXPRESSION_INVALID", message, source: this.#source };
    const suggestion = suggest();
    if (suggestion !== null) problem.suggestion = suggestion;
    this.problems.push(problem);
  }
}
