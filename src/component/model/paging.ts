/**
 * Pages of lists: how many rows, and where to go on.
 *
 * A cursor is the place of a row in the list's index: a JSON list of the index fields, its creation time and its id.
 * Callers can read it and make one up, and the paginator follows one that lies outside of its range: it would go from
 * there into the range, over rows of other scopes. Invariant: a cursor that is used lies in the list it is used for.
 */
import { shardflowError } from "../../shared/errors.js";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "../../shared/limits.js";

export type PageRequest = { cursor?: string | null | undefined; limit?: number | undefined };

/**
 * @param list - The values of the index fields that all rows of the list share, such as the scope.
 * @param more - Number of the index's further fields.
 * @throws {ARGUMENT_INVALID} when the limit is out of range, or the cursor is none of that list.
 */
export function pageOptions(
  { cursor = null, limit = DEFAULT_PAGE_SIZE }: PageRequest,
  list: readonly string[],
  more: number,
): { cursor: string | null; numItems: number } {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_SIZE) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: `limit must be a whole number from 1 to ${MAX_PAGE_SIZE}; it is ${limit}.`,
    });
  }
  if (cursor !== null && !isCursor(cursor, list, more + 2)) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: "The cursor is not one of this list. Pass the one that the page before returned, with the same filters.",
    });
  }
  return { cursor, numItems: limit };
}

function isCursor(text: string, list: readonly string[], more: number): boolean {
  let key: unknown;
  try {
    key = JSON.parse(text);
  } catch {
    return false;
  }
  const isField = (field: unknown) => typeof field === "string" || typeof field === "number";
  return (
    Array.isArray(key) &&
    key.length === list.length + more &&
    key.every(isField) &&
    list.every((value, i) => asInCursor(value) === key[i])
  );
}

/** The paginator marks texts that end like its word for a missing field. */
const asInCursor = (value: string) => (value.endsWith("undefined") ? `_${value}` : value);
