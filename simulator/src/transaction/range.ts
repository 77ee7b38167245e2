/**
 * From the bounds of a query to an interval of index keys (section 7).
 *
 * Owns: the rules of ranges: equalities on a prefix of the fields, then at most one lower and one upper bound on the next.
 */
import { jsonToConvex, type JSONValue, type Value } from "convex/values";
import { AFTER, encodeKey } from "../values/keys.js";
import type { Index } from "../store/table.js";

export type RangeExpression = { type: "Eq" | "Gt" | "Gte" | "Lt" | "Lte"; fieldPath: string; value: JSONValue };

export function rangeOf(index: Index, range: readonly RangeExpression[]): [start: string, end: string] {
  const fields = index.name === "by_id" ? ["_id"] : [...index.fields, "_id"];
  const equal: Array<Value | undefined> = [];
  let lower: { value: Value | undefined; inclusive: boolean } | null = null;
  let upper: { value: Value | undefined; inclusive: boolean } | null = null;
  for (const { type, fieldPath, value: json } of range) {
    const value = queryValue(json);
    if (!fields.includes(fieldPath))
      throw new Error(`FieldNotInIndex: "${fieldPath}" is not a field of ${index.name}.`);
    const expected = fields[equal.length];
    if (type === "Eq") {
      if (lower !== null || upper !== null || fieldPath !== expected) throw invalidRange(index, fieldPath);
      equal.push(value);
      continue;
    }
    if (fieldPath !== expected) {
      throw lower !== null || upper !== null
        ? new Error(`BoundsOnMultipleFields: the range of ${index.name} has bounds on more than one field.`)
        : invalidRange(index, fieldPath);
    }
    if (type === "Gt" || type === "Gte") {
      if (lower !== null) throw alreadyBound(index, fieldPath);
      lower = { value, inclusive: type === "Gte" };
    } else {
      if (upper !== null) throw alreadyBound(index, fieldPath);
      upper = { value, inclusive: type === "Lte" };
    }
  }
  const prefix = encodeKey(equal);
  const at = (bound: Value | undefined) => prefix + encodeKey([bound]);
  const start = lower === null ? prefix : lower.inclusive ? at(lower.value) : at(lower.value) + AFTER;
  const end = upper === null ? prefix + AFTER : upper.inclusive ? at(upper.value) + AFTER : at(upper.value);
  return [start, end];
}

/** A value of a range or filter, where undefined can be written down. */
export function queryValue(json: JSONValue): Value | undefined {
  if (typeof json === "object" && json !== null && "$undefined" in json) return undefined;
  return jsonToConvex(json);
}

function invalidRange(index: Index, field: string): Error {
  return new Error(
    `InvalidIndexRange: "${field}" comes out of order in a range of ${index.name}; bound its fields in order.`,
  );
}

function alreadyBound(index: Index, field: string): Error {
  return new Error(`AlreadyDefinedBound: "${field}" has two bounds of one kind in a range of ${index.name}.`);
}
