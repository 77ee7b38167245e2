/** A field of a syscall that is a text; anything else is shown as JSON, so that messages can name it. */
import type { JSONValue } from "convex/values";

export function textOf(value: JSONValue | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
