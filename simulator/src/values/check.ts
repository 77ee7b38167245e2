/**
 * Owns what may be a value or a document at all, whatever a validator says: the types and their limits.
 *
 * Invariant: a value that passes is a Convex `Value`, so sizes, keys and JSON can be made of it without further checks.
 */
import { CommitTsPlaceholder, getConvexSize, getDocumentSize, type Value } from "convex/values";

interface Limits {
  readonly noun: "Document" | "Value";
  /** Objects and arrays around the innermost value, the outermost one included. */
  readonly nesting: number;
}

const DOCUMENT: Limits = { noun: "Document", nesting: 16 };
const VALUE: Limits = { noun: "Value", nesting: 64 };
const MAX_DOCUMENT_BYTES = 2 ** 20;
const MAX_VALUE_BYTES = 2 ** 24;
const MAX_ARRAY_LENGTH = 8192;
const MAX_FIELDS = 1024;
const MAX_FIELD_NAME_LENGTH = 1024;
const UNDERSCORE = 0x5f;
const SYSTEM_FIELDS: ReadonlySet<string> = new Set(["_id", "_creationTime"]);

/** One to 1024 printable ASCII characters, the first of which is no dollar sign. */
const FIELD_NAME = /^[ -#%-~][ -~]{0,1023}$/;
const NOT_PRINTABLE = /[^ -~]/u;
const TYPES = "To learn about Convex's supported types, see https://docs.convex.dev/using/types.";

/** What is wrong, and where: the path is put together on the way up, so a good value costs no strings. */
interface Problem {
  readonly text: string;
  readonly path: string;
}

/**
 * Throws unless the value can be stored as a document; `what` begins the message. Fields set to `undefined` are none.
 * @returns its size.
 */
export function checkDocument(value: unknown, what: string): number {
  if (!isPlainObject(value)) throw new Error(`${what}: a document must be an object, found ${nameOf(value)}.`);
  for (const name in value) {
    if (
      name.charCodeAt(0) === UNDERSCORE &&
      Object.hasOwn(value, name) &&
      !SYSTEM_FIELDS.has(name) &&
      value[name] !== undefined
    ) {
      throw new Error(
        `${what}: Field '${name}' starts with an underscore, which is only allowed for system fields like '_id'.`,
      );
    }
  }
  refuse(problemOf(value, DOCUMENT, 1), what);
  return checkSize(getDocumentSize(value as Record<string, Value>), MAX_DOCUMENT_BYTES, what);
}

/** Throws unless the value can be an argument or a result of a function; `what` begins the message. */
export function checkValue(value: unknown, what: string): void {
  refuse(problemOf(value, VALUE, 1), what);
  checkSize(getConvexSize(value as Value), MAX_VALUE_BYTES, what);
}

function refuse(problem: Problem | null, what: string): void {
  if (problem === null) return;
  const at = problem.path === "" ? "" : ` (present at path ${problem.path})`;
  throw new Error(`${what}: ${problem.text}${at}.`);
}

function checkSize(size: number, max: number, what: string): number {
  if (size <= max) return size;
  throw new Error(`${what}: Value is too large (${size} bytes > maximum size ${max} bytes).`);
}

/** `level` counts the objects and arrays around and including this value; a cycle runs into its limit. */
function problemOf(value: unknown, limits: Limits, level: number): Problem | null {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return null;
    case "bigint":
      if (BigInt.asIntN(64, value) === value) return null;
      return problem(`BigInt ${value} does not fit into a 64-bit signed integer`);
    case "undefined":
      return problem(`undefined is not a valid Convex value. ${TYPES}`);
  }
  if (value === null || value instanceof ArrayBuffer || value instanceof CommitTsPlaceholder) return null;
  const array = Array.isArray(value);
  if (!array && !isPlainObject(value)) return problem(`${nameOf(value)} is not a supported Convex type. ${TYPES}`);
  if (level > limits.nesting) {
    return problem(`${limits.noun} is too nested (nested ${level} levels deep > maximum nesting ${limits.nesting})`);
  }
  return array ? problemOfArray(value, limits, level) : problemOfObject(value, limits, level);
}

function problemOfArray(value: readonly unknown[], limits: Limits, level: number): Problem | null {
  if (value.length > MAX_ARRAY_LENGTH) {
    return problem(`Array length is too long (${value.length} > maximum length ${MAX_ARRAY_LENGTH})`);
  }
  // By index: a hole is an undefined element.
  for (let i = 0; i < value.length; i += 1) {
    const found = problemOf(value[i], limits, level + 1);
    if (found !== null) return { text: found.text, path: `[${i}]${found.path}` };
  }
  return null;
}

function problemOfObject(value: Record<string, unknown>, limits: Limits, level: number): Problem | null {
  let fields = 0;
  for (const name of Object.keys(value)) {
    const field = value[name];
    if (field === undefined) continue;
    fields += 1;
    if (!FIELD_NAME.test(name)) return problem(problemOfName(name));
    const found = problemOf(field, limits, level + 1);
    if (found !== null) return { text: found.text, path: `.${name}${found.path}` };
  }
  if (fields <= MAX_FIELDS) return null;
  return problem(`Object has too many fields (${fields} > maximum number ${MAX_FIELDS})`);
}

function problemOfName(name: string): string {
  if (name === "") return "Field names cannot be empty";
  if (name.startsWith("$")) return `Field name ${name} starts with a '$', which is reserved`;
  const bad = NOT_PRINTABLE.exec(name);
  if (bad !== null) {
    const found = JSON.stringify(bad[0]);
    return `Field name ${name} has invalid character ${found}: Field names can only contain non-control ASCII characters`;
  }
  return `Field name is too long (${name.length} > maximum ${MAX_FIELD_NAME_LENGTH})`;
}

function problem(text: string): Problem {
  return { text, path: "" };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  // An object literal of another realm, such as a `vm` context, has that realm's Object as its prototype's constructor.
  return (prototype as { constructor?: { name?: unknown } }).constructor?.name === "Object";
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  // An object's own `constructor` property may be anything; its name is of use when it is a name.
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? name : typeof value;
}
