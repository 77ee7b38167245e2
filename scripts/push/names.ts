/** Rules of names: what a push accepts as the name of a thing, and why it refuses another. */

export const MAX_NAME = 64;

/** Null when the name is good; else what is wrong with it, as the end of a sentence. */
export function faultOfIdentifier(name: string): string | null {
  if (name.length === 0) return "is empty";
  if (name.length > MAX_NAME) return `has ${name.length} characters; ${MAX_NAME} are allowed`;
  if (!/^[A-Za-z_]/.test(name)) return "starts with neither a letter nor an underscore";
  return /^\w+$/.test(name) ? null : "has characters other than letters, digits and underscores";
}

/** Tables and indexes that start with an underscore are the system's. */
export function faultOfStoredName(name: string): string | null {
  return (
    faultOfIdentifier(name) ?? (name.startsWith("_") ? "starts with an underscore, as only system names do" : null)
  );
}

/** One part of a module's path as it is deployed: the last one ends in `.js`, which counts. */
export function faultOfPathPart(part: string): string | null {
  if (part.length > MAX_NAME) return `has ${part.length} characters with its ending; ${MAX_NAME} are allowed`;
  if (!/^[\w.]+$/.test(part)) return "has characters other than letters, digits, underscores and dots";
  return /[A-Za-z0-9]/.test(part) ? null : "has neither a letter nor a digit";
}
