/**
 * Owns how values and validators are written in messages: as Convex writes them, with fields in the order of their names.
 */
import { Base64, CommitTsPlaceholder, convexToJson, jsonToConvex, type Value } from "convex/values";
import type { ValidatorJson } from "./validate.js";

export function displayValue(value: Value | undefined): string {
  if (value === undefined || value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return displayNumber(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof ArrayBuffer) return `b"${Base64.fromByteArray(new Uint8Array(value))}"`;
  if (value instanceof CommitTsPlaceholder) return JSON.stringify(convexToJson(value));
  if (Array.isArray(value)) return `[${value.map(displayValue).join(", ")}]`;
  const fields = sortedByName(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${name}: ${displayValue(field)}`).join(", ")}}`;
}

export function displayValidator(validator: ValidatorJson): string {
  switch (validator.type) {
    case "number":
      return "v.float64()";
    case "bigint":
      return "v.int64()";
    case "id":
      return `v.id("${validator.tableName}")`;
    case "literal":
      return `v.literal(${displayLiteral(jsonToConvex(validator.value))})`;
    case "array":
      return `v.array(${displayValidator(validator.value)})`;
    case "record":
      return `v.record(${displayValidator(validator.keys)}, ${displayValidator(validator.values.fieldType)})`;
    case "union":
      return `v.union(${validator.value.map(displayValidator).join(", ")})`;
    case "object": {
      const fields = sortedByName(validator.value).map(([name, { fieldType, optional }]) => {
        const shown = displayValidator(fieldType);
        return `${name}: ${optional ? `v.optional(${shown})` : shown}`;
      });
      return `v.object({${fields.join(", ")}})`;
    }
    default:
      return `v.${validator.type}()`;
  }
}

/** Entries in the order in which Convex keeps, checks and prints the fields of an object. */
export function sortedByName<T>(fields: { readonly [name: string]: T }): [string, T][] {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
}

function displayLiteral(value: Value): string {
  return typeof value === "bigint" ? `${value}n` : displayValue(value);
}

/** A double is told from an int64 by its decimal point. */
function displayNumber(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
