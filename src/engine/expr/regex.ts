/**
 * Which regular expressions `matches` takes.
 *
 * Two fences. At save, patterns of the shapes that make backtracking engines run for ever are refused: repetition
 * inside of repetition, repeated alternatives that begin alike, repetitions in a row that compete for the same
 * characters. They are nearly always mistakes, and the check is conservative. At run time no backtracking takes place
 * at all (regexMatch.ts), so that a shape which the check does not know costs nothing either.
 */
import { MAX_REGEX_LENGTH } from "../../shared/limits.js";
import { isSameSet, overlaps, union, type CharSet } from "./charSet.js";
import { buildAutomaton, type Automaton } from "./regexMatch.js";
import { parseRegex, RegexRefusal, type RegexNode } from "./regexSyntax.js";

type Repeat = Extract<RegexNode, { kind: "repeat" }>;

/** A repetition that may go on this often counts as unbounded: `(.*a){20}` is as bad as `(.*a)*`. */
const LONG = 10;
/** Repetitions in a row that may compete for the same characters; `\d+\.?\d*` has two. */
const MAX_COMPETING = 2;

export type CompiledRegex = { ok: true; automaton: Automaton } | { ok: false; message: string };

/** Checks and compiles a pattern. */
export function compileRegex(pattern: string): CompiledRegex {
  if (pattern.length > MAX_REGEX_LENGTH) {
    return { ok: false, message: `The regular expression is longer than ${MAX_REGEX_LENGTH} characters.` };
  }
  try {
    const root = parseRegex(pattern);
    check(root);
    return { ok: true, automaton: buildAutomaton(root) };
  } catch (error) {
    if (!(error instanceof RegexRefusal)) throw error;
    return { ok: false, message: `The regular expression ${JSON.stringify(pattern)} ${error.message}.` };
  }
}

function check(node: RegexNode): void {
  if (node.kind === "repeat" && node.max >= LONG) checkRepeated(node);
  if (node.kind === "sequence") checkSequence(node.items);
  for (const child of children(node)) check(child);
}

function checkRepeated(repeat: Repeat): void {
  for (const choice of descendants(repeat.item)) {
    if (choice.kind === "choice" && beginAlike(choice.options)) {
      throw new RegexRefusal(
        "repeats alternatives that can begin alike, as `(a|ab)*` does; make their beginnings differ",
      );
    }
  }
  const options = repeat.item.kind === "choice" ? repeat.item.options : [repeat.item];
  if (options.some((option) => isNestedRepeat(option))) {
    throw new RegexRefusal(
      "repeats something that repeats itself, as `(a+)*` does; put a character between that the inner part cannot match, as in `(a+,)*`",
    );
  }
}

function beginAlike(options: RegexNode[]): boolean {
  return options.some(
    (option, i) =>
      canBeEmpty(option) || options.slice(i + 1).some((other) => overlaps(firstChars(option), firstChars(other))),
  );
}

/** True when the item varies in length and nothing in it marks where one pass ends and the next begins. */
function isNestedRepeat(item: RegexNode): boolean {
  const varying = [...descendants(item)].filter(
    (node): node is Repeat => node.kind === "repeat" && node.min !== node.max,
  );
  if (varying.length === 0) return false;
  const repeated = union(varying.map(allChars));
  const parts = item.kind === "sequence" ? item.items : [item];
  return !parts.some((part) => part.kind === "set" && !overlaps(part.set, repeated));
}

/** Counts long repetitions in a row, nothing mandatory between, of which each can take over from the one before. */
function checkSequence(items: RegexNode[]): void {
  let competing = 0;
  let previous: CharSet = [];
  let isAdjacent = false;
  for (const item of items) {
    if (item.kind === "assert") continue;
    if (!isLong(item)) {
      isAdjacent = false;
      if (!canBeEmpty(item)) competing = 0;
      continue;
    }
    const chars = allChars(item);
    competing = competing > 0 && overlaps(previous, firstChars(item)) ? competing + 1 : 1;
    if (competing > MAX_COMPETING || (competing > 1 && isAdjacent && isSameSet(previous, chars))) {
      throw new RegexRefusal(
        "has repetitions in a row that match the same characters, as `a*a*` does; keep one of them",
      );
    }
    previous = chars;
    isAdjacent = true;
  }
}

function isLong(node: RegexNode): boolean {
  return [...descendants(node)].some((part) => part.kind === "repeat" && part.max >= LONG && part.min !== part.max);
}

function children(node: RegexNode): readonly RegexNode[] {
  if (node.kind === "sequence") return node.items;
  if (node.kind === "choice") return node.options;
  return node.kind === "repeat" ? [node.item] : [];
}

function* descendants(node: RegexNode): Generator<RegexNode, void> {
  yield node;
  for (const child of children(node)) yield* descendants(child);
}

function allChars(node: RegexNode): CharSet {
  return node.kind === "set" ? node.set : union(children(node).map(allChars));
}

function firstChars(node: RegexNode): CharSet {
  if (node.kind === "set") return node.set;
  if (node.kind !== "sequence") return union(children(node).map(firstChars));
  const end = node.items.findIndex((item) => !canBeEmpty(item));
  return union((end < 0 ? node.items : node.items.slice(0, end + 1)).map(firstChars));
}

function canBeEmpty(node: RegexNode): boolean {
  switch (node.kind) {
    case "set":
      return false;
    case "assert":
      return true;
    case "sequence":
      return node.items.every(canBeEmpty);
    case "choice":
      return node.options.some(canBeEmpty);
    case "repeat":
      return node.min === 0 || canBeEmpty(node.item);
  }
}
