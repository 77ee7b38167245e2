/**
 * Regular expressions as a tree.
 *
 * Owns: the syntax that `matches` accepts, which is what RE2 and JavaScript have in common: classes, groups,
 * alternatives, repetition, `^ $ \b \B`, and the flags `(?i)` and `(?s)` at the very beginning. Backreferences and
 * lookaround are refused, because no linear-time matcher can have them.
 */
import {
  ANY,
  charSet,
  complement,
  DIGITS,
  NOT_NEWLINE,
  SPACES,
  union,
  withBothCases,
  WORD,
  type CharSet,
} from "./charSet.js";

export type Assertion = "start" | "end" | "border" | "inside";
export type RegexNode =
  | { kind: "set"; set: CharSet }
  | { kind: "assert"; assertion: Assertion }
  | { kind: "sequence"; items: RegexNode[] }
  | { kind: "choice"; options: RegexNode[] }
  | { kind: "repeat"; item: RegexNode; min: number; max: number };

/** Why a pattern is refused; the text completes "The regular expression ...". */
export class RegexRefusal extends Error {}

const CLASSES: Readonly<Record<string, CharSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACES,
  S: complement(SPACES),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };
const MAX_REPEAT = 1_000;

export function parseRegex(pattern: string): RegexNode {
  const [prefix = "", flags = ""] = /^\(\?([is]+)\)/.exec(pattern) ?? [];
  return new RegexParser(pattern.slice(prefix.length), flags).parse();
}

class RegexParser {
  readonly #chars: string[];
  readonly #dot: CharSet;
  readonly #ignoreCase: boolean;
  #at = 0;

  constructor(pattern: string, flags: string) {
    this.#chars = Array.from(pattern);
    this.#dot = flags.includes("s") ? ANY : NOT_NEWLINE;
    this.#ignoreCase = flags.includes("i");
  }

  parse(): RegexNode {
    const root = this.#choice();
    if (this.#at < this.#chars.length) throw new RegexRefusal("has a `)` without a `(`");
    return root;
  }

  #peek(offset = 0): string {
    return this.#chars[this.#at + offset] ?? "";
  }

  #take(expected: string): boolean {
    const found = this.#chars.slice(this.#at, this.#at + expected.length).join("") === expected;
    if (found) this.#at += expected.length;
    return found;
  }

  #next(): string {
    const char = this.#peek();
    if (char === "") throw new RegexRefusal("ends too early");
    this.#at++;
    return char;
  }

  #choice(): RegexNode {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: "choice", options };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (!["", "|", ")"].includes(this.#peek())) {
      const item = this.#repeated(this.#atom());
      // A group is transparent: its items belong to the sequence around it.
      if (item.kind === "sequence") items.push(...item.items);
      else items.push(item);
    }
    return { kind: "sequence", items };
  }

  #repeated(item: RegexNode): RegexNode {
    const bounds = this.#quantifier();
    if (bounds === null) return item;
    if (item.kind === "assert") throw new RegexRefusal("repeats `^`, `$`, `\\b` or `\\B`");
    // Lazy or not makes no difference to whether a text matches.
    this.#take("?");
    const symbol = this.#peek();
    if (this.#quantifier() !== null) throw new RegexRefusal(`has nothing to repeat before \`${symbol}\``);
    return { kind: "repeat", item, min: bounds[0], max: bounds[1] };
  }

  #quantifier(): [number, number] | null {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    const counted = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(""));
    if (counted === null) return null;
    this.#at += counted[0].length;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] === "" ? Infinity : Number(counted[3]);
    if (min > max) throw new RegexRefusal(`has its bounds in the wrong order in \`${counted[0]}\``);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Infinity)) {
      throw new RegexRefusal(`repeats more than ${MAX_REPEAT} times in \`${counted[0]}\``);
    }
    return [min, max];
  }

  #atom(): RegexNode {
    const char = this.#next();
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "set", set: this.#class() };
      case ".":
        return { kind: "set", set: this.#dot };
      case "^":
        return { kind: "assert", assertion: "start" };
      case "$":
        return { kind: "assert", assertion: "end" };
      case "\\":
        return this.#escapedAtom();
      case "*":
      case "+":
      case "?":
        throw new RegexRefusal(`has nothing to repeat before \`${char}\``);
      default:
        return { kind: "set", set: this.#fold(literal(char)) };
    }
  }

  /** Adds the other case of letters, where the flag `i` asks for it. */
  #fold(set: CharSet): CharSet {
    return this.#ignoreCase ? withBothCases(set) : set;
  }

  #group(): RegexNode {
    if (this.#peek() === "?" && !this.#take("?:") && !this.#takeGroupName()) {
      if (/^\?<?[=!]/.test(this.#chars.slice(this.#at, this.#at + 3).join(""))) {
        throw new RegexRefusal("uses lookaround, which is not supported");
      }
      throw new RegexRefusal("has an unknown kind of group; flags are `(?i)` and `(?s)` at the beginning");
    }
    const inner = this.#choice();
    if (!this.#take(")")) throw new RegexRefusal("has a `(` without a `)`");
    return inner;
  }

  #takeGroupName(): boolean {
    const name = /^\?P?<[A-Za-z_]\w*>/.exec(this.#chars.slice(this.#at).join(""));
    if (name !== null) this.#at += name[0].length;
    return name !== null;
  }

  #escapedAtom(): RegexNode {
    if (this.#take("b")) return { kind: "assert", assertion: "border" };
    if (this.#take("B")) return { kind: "assert", assertion: "inside" };
    if (/[1-9k]/.test(this.#peek())) throw new RegexRefusal("uses a backreference, which is not supported");
    return { kind: "set", set: this.#fold(this.#escape()) };
  }

  /** What stands after a backslash, as a set. */
  #escape(): CharSet {
    const char = this.#next();
    const set = Object.hasOwn(CLASSES, char) ? CLASSES[char] : undefined;
    if (set !== undefined) return set;
    const control = Object.hasOwn(CONTROLS, char) ? CONTROLS[char] : undefined;
    if (control !== undefined) return charSet([[control, control]]);
    if (char === "x" || char === "u") return this.#hexEscape(char);
    if (/[A-Za-z0-9]/.test(char)) throw new RegexRefusal(`has an unknown escape \`\\${char}\``);
    return literal(char);
  }

  #hexEscape(kind: "x" | "u"): CharSet {
    const rest = this.#chars.slice(this.#at, this.#at + 10).join("");
    const hex = (kind === "x" ? /^([0-9a-f]{2})/i : /^(?:([0-9a-f]{4})|\{([0-9a-f]{1,6})\})/i).exec(rest);
    const code = Number.parseInt(hex?.[1] ?? hex?.[2] ?? "", 16);
    if (hex === null || code > 0x10ffff) throw new RegexRefusal(`has a malformed escape \`\\${kind}\``);
    this.#at += hex[0].length;
    return charSet([[code, code]]);
  }

  #class(): CharSet {
    const isNegated = this.#take("^");
    const sets: CharSet[] = [];
    while (!this.#take("]")) {
      const first = this.#classItem();
      if (this.#peek() === "-" && this.#peek(1) !== "]" && this.#peek(1) !== "") {
        this.#at++;
        sets.push(rangeOf(first, this.#classItem()));
      } else sets.push(first);
    }
    const set = this.#fold(union(sets));
    return isNegated ? complement(set) : set;
  }

  #classItem(): CharSet {
    if (this.#peek() === "") throw new RegexRefusal("has a `[` without a `]`");
    if (this.#peek() === "[" && this.#peek(1) === ":")
      throw new RegexRefusal("uses a POSIX class; write `\\d`, `\\w` or `\\s`");
    const char = this.#next();
    if (char !== "\\") return literal(char);
    return this.#take("b") ? charSet([[8, 8]]) : this.#escape();
  }
}

function literal(char: string): CharSet {
  const code = char.codePointAt(0) ?? 0;
  return [[code, code]];
}

function rangeOf(from: CharSet, to: CharSet): CharSet {
  const [first, last] = [single(from), single(to)];
  if (first > last) throw new RegexRefusal("has the bounds of a range in the wrong order");
  return [[first, last]];
}

function single(set: CharSet): number {
  const [range] = set;
  if (set.length === 1 && range !== undefined && range[0] === range[1]) return range[0];
  throw new RegexRefusal("has a class such as `\\d` as the bound of a range");
}
