/**
 * Pages of lists: how many rows, and where to go on.
 *
 * A cursor is the place of a row in the list's index: a JSON list of the index fields, its creation time and its id.
 * Callers can read it and make one up, so its form is checked here; whatever it says, the paginator stays within the
 * range of the list, and so within its scope.
 */
import { shardflowError } from "../../shared/errors.js";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "../../shared/limits.js";

export type PageRequest = { cursor?: string | null | undefined; limit?: number | undefined };

/**
 * @param indexFields - Number of fields of the index that the list reads.
 * @throws {ARGUMENT_INVALID} when the limit is out of range, or the cursor is none of a list of that index.
 */
export function pageOptions(
  { cursor = null, limit = DEFAULT_PAGE_SIZE }: PageRequest,
  indexFields: number,
): { cursor: string | null; numItems: number } {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_SIZE) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: `limit must be a whole number from 1 to ${MAX_PAGE_SIZE}; it is ${limit}.`,
    });
  }
  if (cursor !== null && !isCursor(cursor, indexFields + 2)) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: "The cursor is not one of this list. Pass the one that the page before returned, with the same filters.",
    });
  }
  return { cursor, numItems: limit };
}

function isCursor(text: string, length: number): boolean {
  let key: unknown;
  try {
    key = JSON.parse(text);
  } catch {
    return false;
  }
  const isField = (field: unknown) => typeof field === "string" || typeof field === "number";
  return Array.isArray(key) && key.length === length && key.every(isField);
}
