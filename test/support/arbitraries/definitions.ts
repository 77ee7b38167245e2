/**
 * Random valid definitions, and inputs for them.
 *
 * Graphs are not only nested statements: in each region (the top, or the body of a loop) nodes have an order, each is
 * reached from an earlier one, and any free port may lead to any later node. Expressions read whatever may be read at
 * their place, so some of them fail on the branch that is taken; that is part of the point.
 * Node types: trigger, action, set, condition, switch, loop (up to three deep), output. Retry and timeouts are left out.
 */
import fc from "fast-check";
import type { Json, JsonObject } from "../../../src/shared/json.js";
import type { NodeType } from "../../../src/engine/plan.js";
import { portsOf } from "../../../src/engine/definition/ports.js";
import type { Definition, NodeSource } from "../../../src/engine/definition/schema.js";
import { fromTape, type Tape } from "./tape.js";

export type DefinitionOptions = {
  /** Names that action nodes use. */
  actions: readonly [string, ...string[]];
  /** Nodes in all; default 14. */
  maxNodes?: number;
  /** Loops inside loops; default 3. */
  maxLoopDepth?: number;
};

/** What the expressions of the definitions expect of the input. */
export type GeneratedInput = { n: number; flag: boolean; text: string; list: number[] };

export function inputs(): fc.Arbitrary<GeneratedInput> {
  return fc.record({
    n: fc.integer({ min: -2, max: 5 }),
    flag: fc.boolean(),
    text: fc.constantFrom("", "a", "größe", "{{ input.n }}"),
    list: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
  });
}

export function definitions(options: DefinitionOptions): fc.Arbitrary<Definition> {
  return fromTape((tape) => {
    const builder = new Builder(tape, options);
    builder.region({ depth: 0, readable: [], locals: [], carried: [], mayEnd: true, maySet: true });
    const entries = [...builder.nodes].map(([id, draft]) => [id, sourceOf(draft)] as const);
    // The order of the document means nothing.
    if (tape.chance(20)) entries.reverse();
    return { name: "generated", nodes: Object.fromEntries(entries) };
  });
}

type Draft = { type: NodeType; ports: string[]; next: Record<string, string>; fields: JsonObject };

type Place = {
  depth: number;
  /** Nodes whose output may be read. */
  readable: readonly string[];
  /** Item and index names of the loops around. */
  locals: readonly string[];
  /** Carried values of the innermost loop. */
  carried: readonly string[];
  mayEnd: boolean;
  maySet: boolean;
};

const LITERALS: readonly Json[] = [0, 1, true, null, "", "text", [], [1, "two", null], { a: 1, $b: { "": [2] } }];
const VARIABLES = ["v0", "v1", "v2"];

class Builder {
  readonly nodes = new Map<string, Draft>();
  readonly #tape: Tape;
  readonly #actions: readonly [string, ...string[]];
  readonly #maxDepth: number;
  #room: number;

  constructor(tape: Tape, { actions, maxNodes = 14, maxLoopDepth = 3 }: DefinitionOptions) {
    this.#tape = tape;
    this.#actions = actions;
    this.#maxDepth = maxLoopDepth;
    this.#room = maxNodes;
  }

  /** Builds one region and the bodies in it; returns its nodes in order, the entry first. */
  region(place: Place): string[] {
    const ids: string[] = [];
    const ancestors = new Map<string, Set<string>>();
    const size = 1 + this.#tape.pick(place.depth === 0 ? 8 : 5);
    for (let i = 0; i < size && (i === 0 || this.#room > 0); i++) ids.push(this.#draft(place, i === 0));
    for (const [i, id] of ids.entries()) {
      const before = ids.slice(0, i);
      if (i > 0) this.#lead(before, id);
      ancestors.set(id, new Set());
    }
    for (const [i, id] of ids.entries()) this.#leadOn(id, ids.slice(i + 1));
    for (const id of ids) {
      const known = [...(ancestors.get(id) ?? [])];
      for (const to of Object.values(this.#at(id).next)) for (const one of [id, ...known]) ancestors.get(to)?.add(one);
      this.#fill(id, { ...place, readable: [...place.readable, ...known] });
    }
    return ids;
  }

  #at(id: string): Draft {
    const draft = this.nodes.get(id);
    if (draft === undefined) throw new Error(`no node ${id}`);
    return draft;
  }

  #draft(place: Place, isEntry: boolean): string {
    this.#room -= 1;
    const type = isEntry && place.depth === 0 ? "trigger" : this.#type(place, isEntry);
    const id = `${type}${this.nodes.size}`;
    const cases =
      type === "switch" ? Array.from({ length: 1 + this.#tape.pick(3) }, (_, i) => ({ port: `case${i}` })) : [];
    this.nodes.set(id, { type, ports: portsOf(type, cases), next: {}, fields: {} });
    return id;
  }

  #type({ depth, mayEnd, maySet }: Place, isEntry: boolean): NodeType {
    const types: NodeType[] = ["action", "condition", "action", "switch"];
    if (maySet) types.push("set", "set");
    if (depth < this.#maxDepth && this.#room > 0) types.push("loop", "loop");
    if (mayEnd && !isEntry) types.push("output");
    return this.#tape.oneOf("action", ...types);
  }

  /** Leads to a node from a free port of an earlier one; there always is one, since a node has two ports or ends it. */
  #lead(before: string[], to: string): void {
    const free = before.flatMap((id) => {
      const { ports, next } = this.#at(id);
      return ports.filter((port) => next[port] === undefined).map((port) => ({ id, port }));
    });
    const likely = free.filter(({ port }) => port !== "failure");
    const choices = likely.length > 0 && !this.#tape.chance(20) ? likely : free;
    const chosen = choices.at(-1 - this.#tape.pick(choices.length));
    if (chosen !== undefined) this.#at(chosen.id).next[chosen.port] = to;
  }

  #leadOn(id: string, later: string[]): void {
    const { ports, next } = this.#at(id);
    for (const port of ports) {
      const to = later[this.#tape.pick(Math.max(1, later.length))];
      if (next[port] === undefined && to !== undefined && this.#tape.chance(40)) next[port] = to;
    }
  }

  #fill(id: string, place: Place): void {
    const { type, fields, ports } = this.#at(id);
    if (type === "action") {
      fields.action = this.#tape.oneOf(...this.#actions);
      if (this.#tape.chance(80))
        fields.args = { value: this.#template(place), more: { list: [this.#template(place)] } };
    } else if (type === "set") {
      const names = VARIABLES.slice(this.#tape.pick(VARIABLES.length));
      fields.values = Object.fromEntries(names.map((name) => [name, this.#template(place)]));
    } else if (type === "condition") fields.if = this.#predicate(place);
    else if (type === "output") fields.value = this.#template(place);
    else if (type === "switch")
      this.#fillSwitch(
        fields,
        ports.filter((port) => port.startsWith("case")),
        place,
      );
    else if (type === "loop") this.#fillLoop(fields, place);
  }

  #fillSwitch(fields: JsonObject, ports: string[], place: Place): void {
    const compares = this.#tape.chance(50);
    if (compares) fields.value = this.#template(place);
    fields.cases = ports.map((port, i) =>
      compares && (i === 0 || this.#tape.chance(70))
        ? { equals: this.#literal(), port }
        : { if: this.#predicate(place), port },
    );
  }

  #fillLoop(fields: JsonObject, place: Place): void {
    const [item, index] = [`item${place.depth}`, `index${place.depth}`];
    const hasItems = !this.#tape.chance(35);
    const isParallel = hasItems && this.#tape.chance(30);
    const carried = !isParallel && this.#tape.chance(40) ? ["c0"] : [];
    const locals = [...place.locals, index, ...(hasItems ? [item] : [])];
    const inside: Place = {
      depth: place.depth + 1,
      readable: place.readable,
      locals,
      carried,
      mayEnd: false,
      maySet: place.maySet && !isParallel,
    };
    const body = this.region(inside);
    const pass: Place = { ...inside, readable: [...place.readable, ...body] };
    fields.index = index;
    if (hasItems) Object.assign(fields, { item, items: this.#items(place) });
    fields.body = body[0] ?? "";
    if (isParallel) fields.concurrency = 2 + this.#tape.pick(3);
    if (!hasItems || this.#tape.chance(15)) fields.maxIterations = 1 + this.#tape.pick(4);
    if (this.#tape.chance(60)) fields.onItemError = this.#tape.oneOf("continue", "stop", "fail");
    if (!hasItems || (!isParallel && this.#tape.chance(30))) {
      fields.until = this.#tape.chance(50) ? this.#predicate(pass) : `${index} >= ${this.#tape.pick(4)}`;
    }
    if (carried.length > 0) {
      fields.carry = Object.fromEntries(
        carried.map((name) => [name, { initial: this.#template(place), next: this.#template(pass) }]),
      );
    }
    if (this.#tape.chance(50)) fields.collect = this.#template(pass);
  }

  #items(place: Place): Json {
    const choice = this.#tape.pick(4);
    if (choice === 0) return Array.from({ length: this.#tape.pick(4) }, (_, i) => i);
    if (choice === 1) return [this.#template(place), this.#literal()];
    return choice === 2 ? "{{ input.list }}" : "{{ [input.n, input.text] }}";
  }

  #literal(): Json {
    return LITERALS[this.#tape.pick(LITERALS.length)] ?? null;
  }

  #template(place: Place): Json {
    const choice = this.#tape.pick(6);
    if (choice === 0) return this.#literal();
    if (choice <= 3) return `{{ ${this.#value(place)} }}`;
    if (choice === 4) return `<{{ ${this.#value(place)} }}|{{ ${this.#value(place)} }}>`;
    return { a: `{{ ${this.#value(place)} }}`, list: [this.#literal(), `{{ ${this.#predicate(place)} }}`] };
  }

  #value({ readable, locals, carried, depth }: Place): string {
    const values = ["input.n", "input.text", "input.list", "size(input.list)"];
    for (const id of readable.slice(-4)) values.push(`nodes.${id}.output`);
    values.push(
      ...locals,
      ...locals,
      ...carried.map((name) => `loop.carry.${name}`),
      `vars.${VARIABLES[0]}`,
      "[input.flag, 1]",
    );
    if (depth > 0) values.push("loop.index");
    return values[this.#tape.pick(values.length)] ?? "input.n";
  }

  #predicate(place: Place): string {
    const left = this.#value(place);
    return this.#tape.oneOf(
      "input.flag",
      `input.n > ${this.#tape.pick(4)}`,
      `${left} == ${this.#value(place)}`,
      `${left} != ${this.#tape.pick(3)}`,
      `input.n >= 0 && !(${left} == "a")`,
      `has(vars.${VARIABLES[1]})`,
      "true",
    );
  }
}

function sourceOf({ type, next, fields }: Draft): NodeSource {
  const wired = Object.keys(next).length > 0 ? { next } : {};
  // Builder has set the fields of the type; the validator is what says so.
  return { type, ...wired, ...fields } as unknown as NodeSource;
}
