/**
 * What is different between two JSON values, as changes at the deepest place that tells them.
 *
 * Owns: the comparison. Pure; recursion is as deep as the values, which readers of JSON bound.
 * Invariant: the changes, applied to the first value, give the second. Positions of lists are those of the first value
 * for what is removed and changed, and those of the second for what is added: apply what is changed, then what is
 * removed from the back to the front, then what is added from the front to the back.
 */
import type { ValueChange } from "../../shared/definitionDiff.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import type { Path } from "./problems.js";

/** None when the values are the same JSON; the order of keys does not count. */
export function changesOf(before: Json, after: Json, path: Path = []): ValueChange[] {
  if (isJsonObject(before) && isJsonObject(after)) return inObjects(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) return inLists(before, after, path);
  return before === after ? [] : [{ kind: "changed", path, before, after }];
}

/** Told by itself, not by changes: lists compare their items first, and lists in lists would multiply the work. */
export function isSameJson(a: Json, b: Json): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && isSameList(a, b);
  if (!isJsonObject(a)) return a === b;
  if (!isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => isSameField(a[key], fieldOf(b, key)));
}

/** A field, or undefined: what an object inherits is no field of it. */
export function fieldOf(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** The keys of the first object, then what is new in the second. */
export function keysOfBoth(before: JsonObject, after: JsonObject): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])];
}

function inObjects(before: JsonObject, after: JsonObject, path: Path): ValueChange[] {
  return keysOfBoth(before, after).flatMap((key) => inOne(fieldOf(before, key), fieldOf(after, key), [...path, key]));
}

function inOne(before: Json | undefined, after: Json | undefined, path: Path): ValueChange[] {
  if (before === undefined) return after === undefined ? [] : [{ kind: "added", path, after }];
  if (after === undefined) return [{ kind: "removed", path, before }];
  return changesOf(before, after, path);
}

/** Items that were only put in, or only taken out, at one place do not make those after it different. */
function inLists(before: readonly Json[], after: readonly Json[], path: Path): ValueChange[] {
  const shared = Math.min(before.length, after.length);
  const same = sameAtStart(before, after);
  const rest = shared - same;
  const isSplice = isSameList(before.slice(before.length - rest), after.slice(after.length - rest));
  const at = isSplice ? same : shared;

  const changes: ValueChange[] = [];
  for (let i = same; i < at; i++) changes.push(...inOne(before[i], after[i], [...path, i]));
  for (let i = at; i < at + before.length - shared; i++) changes.push(...inOne(before[i], undefined, [...path, i]));
  for (let i = at; i < at + after.length - shared; i++) changes.push(...inOne(undefined, after[i], [...path, i]));
  return changes;
}

function sameAtStart(a: readonly Json[], b: readonly Json[]): number {
  const first = a.findIndex((item, i) => !isSameField(item, b[i]));
  return first === -1 ? a.length : first;
}

function isSameList(a: readonly Json[], b: readonly Json[]): boolean {
  return a.length === b.length && sameAtStart(a, b) === a.length;
}

function isSameField(a: Json | undefined, b: Json | undefined): boolean {
  return a !== undefined && b !== undefined && isSameJson(a, b);
}
