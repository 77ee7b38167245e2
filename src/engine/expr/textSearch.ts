/**
 * Searching text in linear time.
 *
 * JavaScript's own search compares up to text times part characters when a long part almost matches everywhere, which
 * data can bring about; so long parts are sought with Knuth, Morris and Pratt's algorithm.
 */
import type { Budget } from "./budget.js";

/** Parts up to this long are sought with the built-in search, whose worst case is then a small factor. */
const SHORT_PART = 32;

/** Positions (UTF-16 units) of a part that is not empty, from left to right, overlapping ones too if asked. */
export function* occurrences(text: string, part: string, budget: Budget, overlapping = false): Generator<number, void> {
  budget.read(text.length + part.length);
  const search = part.length <= SHORT_PART ? builtInSearch(text, part) : linearSearch(text, part);
  let from = 0;
  for (const at of search) {
    if (at < from) continue;
    budget.elements(1);
    yield at;
    from = overlapping ? 0 : at + part.length;
  }
}

function* builtInSearch(text: string, part: string): Generator<number, void> {
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) yield at;
}

function* linearSearch(text: string, part: string): Generator<number, void> {
  if (part.length > text.length) return;
  const borders = bordersOf(part);
  let matched = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    while (matched > 0 && part.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0;
    if (part.charCodeAt(matched) === unit) matched++;
    if (matched < part.length) continue;
    yield i + 1 - matched;
    matched = borders[matched - 1] ?? 0;
  }
}

/** For each prefix the length of its longest proper prefix that is also its suffix. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length);
  let length = 0;
  for (let i = 1; i < part.length; i++) {
    const unit = part.charCodeAt(i);
    while (length > 0 && part.charCodeAt(length) !== unit) length = borders[length - 1] ?? 0;
    if (part.charCodeAt(length) === unit) length++;
    borders[i] = length;
  }
  return borders;
}
