/**
 * Matching regular expressions in linear time.
 *
 * A pattern becomes an automaton whose states are all followed at once (Thompson, 1968), so that the time is text times
 * states at most, whatever the pattern. Only whether a text matches is asked for, never where, which keeps it this small.
 */
import { MAX_REGEX_STATES } from "../../shared/limits.js";
import type { Budget } from "./budget.js";
import { includes, WORD, type CharSet } from "./charSet.js";
import { RegexRefusal, type Assertion, type RegexNode } from "./regexSyntax.js";

type State =
  | { kind: "match" }
  | { kind: "set"; set: CharSet; next: number }
  | { kind: "assert"; assertion: Assertion; next: number }
  | { kind: "fork"; next: number; other: number };

export type Automaton = { readonly states: readonly State[]; readonly start: number };

/** @throws RegexRefusal when counted repetitions make it too large. */
export function buildAutomaton(root: RegexNode): Automaton {
  const states: State[] = [{ kind: "match" }];
  return { states, start: build(root, 0, states) };
}

function add(states: State[], state: State): number {
  if (states.length >= MAX_REGEX_STATES) {
    throw new RegexRefusal(`is too large: its repetitions amount to more than ${MAX_REGEX_STATES} states`);
  }
  return states.push(state) - 1;
}

/** Adds the states of a node in front of the state `next`; gives the first of them. */
function build(node: RegexNode, next: number, states: State[]): number {
  switch (node.kind) {
    case "set":
      return add(states, { kind: "set", set: node.set, next });
    case "assert":
      return add(states, { kind: "assert", assertion: node.assertion, next });
    case "sequence":
      return node.items.reduceRight((after, item) => build(item, after, states), next);
    case "choice":
      return node.options
        .map((option) => build(option, next, states))
        .reduceRight((other, option) => add(states, { kind: "fork", next: option, other }));
    case "repeat":
      return buildRepeat(node, next, states);
  }
}

function buildRepeat(node: Extract<RegexNode, { kind: "repeat" }>, next: number, states: State[]): number {
  let first = next;
  if (node.max === Infinity) {
    const fork = { kind: "fork" as const, next, other: next };
    first = add(states, fork);
    fork.next = build(node.item, first, states);
  } else {
    for (let i = node.min; i < node.max; i++) {
      first = add(states, { kind: "fork", next: build(node.item, first, states), other: next });
    }
  }
  for (let i = 0; i < node.min; i++) first = build(node.item, first, states);
  return first;
}

/** What looking at a state costs, compared with looking at a character. */
const PRICE = 2;

/** True when the pattern matches somewhere in the text. */
export function matchesRegex(automaton: Automaton, text: string, budget: Budget): boolean {
  const matcher = new Matcher(automaton);
  let before: number | undefined;
  for (let at = 0; ;) {
    const char = text.codePointAt(at);
    if (matcher.enter(before, char)) return true;
    budget.read(PRICE * matcher.visits);
    if (char === undefined || matcher.isDead) return false;
    matcher.consume(char);
    before = char;
    at += char > 0xffff ? 2 : 1;
  }
}

class Matcher {
  /** States looked at for the current position. */
  visits = 0;
  readonly #automaton: Automaton;
  /** The position, counted from 1, at which a state was entered last; spares clearing a set for every character. */
  readonly #entered: Int32Array;
  #position = 0;
  /** States reached by the last character, of which the ones that follow without a character are not yet known. */
  #reached: number[] = [];
  #waiting: number[] = [];

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
    this.#entered = new Int32Array(automaton.states.length);
  }

  /** Nothing waits for a character, and a new beginning cannot come: the pattern begins with `^`. */
  get isDead(): boolean {
    const start = this.#automaton.states[this.#automaton.start];
    return this.#waiting.length === 0 && start?.kind === "assert" && start.assertion === "start";
  }

  /** Follows everything that needs no character between `before` and `after`. True when the pattern has matched. */
  enter(before: number | undefined, after: number | undefined): boolean {
    this.#position++;
    this.#waiting = [];
    this.visits = 0;
    const pending = [this.#automaton.start, ...this.#reached];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      this.visits++;
      const state = this.#automaton.states[index];
      if (state === undefined || this.#entered[index] === this.#position) continue;
      this.#entered[index] = this.#position;
      if (state.kind === "match") return true;
      if (state.kind === "fork") pending.push(state.other, state.next);
      else if (state.kind === "set") this.#waiting.push(index);
      else if (holds(state.assertion, before, after)) pending.push(state.next);
    }
    return false;
  }

  consume(char: number): void {
    this.#reached = [];
    for (const index of this.#waiting) {
      const state = this.#automaton.states[index];
      if (state?.kind === "set" && includes(state.set, char)) this.#reached.push(state.next);
    }
  }
}

function holds(assertion: Assertion, before: number | undefined, after: number | undefined): boolean {
  switch (assertion) {
    case "start":
      return before === undefined;
    case "end":
      return after === undefined;
    case "border":
      return isWord(before) !== isWord(after);
    case "inside":
      return isWord(before) === isWord(after);
  }
}

function isWord(char: number | undefined): boolean {
  return char !== undefined && includes(WORD, char);
}
