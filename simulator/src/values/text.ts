/**
 * Owns the text in which a document rests: its ConvexJSON with the fields in the order of their names, at every level.
 *
 * Invariant: equal values have equal texts, and `JSON.parse` of the text is what `convexToJson` makes of the value.
 */
import { convexToJson, type Value } from "convex/values";

/** The value has been checked: it is one. Fields set to `undefined` are none. */
export function textOfValue(value: Value): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "number":
      // What JSON cannot say has a form of its own.
      return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : JSON.stringify(convexToJson(value));
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return textOfArray(value);
      if (isFields(value)) return textOfFields(value);
  }
  return JSON.stringify(convexToJson(value));
}

function textOfArray(value: readonly Value[]): string {
  let text = "[";
  for (let i = 0; i < value.length; i++) text += (i === 0 ? "" : ",") + textOfValue(value[i] as Value);
  return text + "]";
}

function textOfFields(value: { readonly [field: string]: Value | undefined }): string {
  const names = Object.keys(value);
  if (!isSorted(names)) names.sort();
  let text = "{";
  for (const name of names) {
    const field = value[name];
    if (field !== undefined) text += `${text.length === 1 ? "" : ","}${JSON.stringify(name)}:${textOfValue(field)}`;
  }
  return text + "}";
}

function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++) if ((names[i - 1] as string) > (names[i] as string)) return false;
  return true;
}

/** Bytes and placeholders are objects of classes; objects of another realm are fields like any others. */
function isFields(value: object): value is { [field: string]: Value | undefined } {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return (prototype as { constructor?: { name?: unknown } }).constructor?.name === "Object";
}
