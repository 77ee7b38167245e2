/**
 * Owns the matching of values against validators, in the JSON form in which functions and schemas export them.
 *
 * Invariant: `validate` returns a message exactly when the compiled test fails; the search for the place that does not
 * match only runs then, and follows the same tests. As in Convex nothing is coerced and no unknown field is let through.
 */
import { CommitTsPlaceholder, jsonToConvex, type ValidatorJSON, type Value } from "convex/values";
import { displayValidator, displayValue, sortedByName } from "./display.js";
import { tableNumberOf } from "./ids.js";

export type ValidatorJson = ValidatorJSON;

/** The tables of the component whose validator it is: an id belongs to the table its number names there. */
export interface IdResolver {
  tableNumber(tableName: string): number | null;
}

type Test = (value: Value | undefined, resolve: IdResolver) => boolean;
type Fields = { [name: string]: Value | undefined };

/** What a commit timestamp is taken for until it is known. */
const UNKNOWN_COMMIT_TS = 2n ** 63n - 1n;
/** Keys of records: printable ASCII, not empty, not reserved. */
const RECORD_KEY = /^[ -#%-^`-~][ -~]*$/;

/** Tests by validator: parse an exported validator once and keep the object, and it is compiled once. */
const compiled = new WeakMap<ValidatorJson, Test>();

/** Null when the value matches, else what does not match, and where, in Convex's words. */
export function validate(validator: ValidatorJson, value: Value | undefined, resolve: IdResolver): string | null {
  return testOf(validator)(value, resolve) ? null : explain(validator, value, resolve, "");
}

function testOf(validator: ValidatorJson): Test {
  let test = compiled.get(validator);
  if (test === undefined) compiled.set(validator, (test = compile(validator)));
  return test;
}

function compile(validator: ValidatorJson): Test {
  switch (validator.type) {
    case "any":
      return () => true;
    case "null":
      return (value) => value === null;
    case "bigint":
    case "commitTs":
      return (value) => typeof value === "bigint" || value instanceof CommitTsPlaceholder;
    case "number":
    case "boolean":
    case "string": {
      const type = validator.type;
      return (value) => typeof value === type;
    }
    case "bytes":
      return (value) => value instanceof ArrayBuffer;
    case "literal":
      return compileLiteral(jsonToConvex(validator.value));
    case "id":
      return (value, resolve) => {
        const found = typeof value === "string" ? tableNumberOf(value) : null;
        return found !== null && found === resolve.tableNumber(validator.tableName);
      };
    case "array": {
      const element = testOf(validator.value);
      return (value, resolve) => Array.isArray(value) && value.every((item) => element(item, resolve));
    }
    case "record":
      return compileRecord(testOf(validator.keys), testOf(validator.values.fieldType));
    case "object":
      return compileObject(validator);
    case "union": {
      const members = validator.value.map(testOf);
      return (value, resolve) => members.some((member) => member(value, resolve));
    }
    default:
      throw new Error(`Unknown type of validator: ${JSON.stringify(validator)}.`);
  }
}

/** Literals are equal as keys are: 0 is not -0, and NaN is itself. */
function compileLiteral(literal: Value): Test {
  if (literal === UNKNOWN_COMMIT_TS) return (value) => value === literal || value instanceof CommitTsPlaceholder;
  return (value) => Object.is(value, literal);
}

function compileRecord(key: Test, field: Test): Test {
  return (value, resolve) => {
    if (!isFields(value)) return false;
    for (const name of Object.keys(value)) {
      if (value[name] === undefined) continue;
      if (!RECORD_KEY.test(name) || !key(name, resolve) || !field(value[name], resolve)) return false;
    }
    return true;
  };
}

function compileObject(validator: ValidatorJson & { type: "object" }): Test {
  const fields = sortedByName(validator.value).map(([name, { fieldType, optional }]) => ({
    name,
    optional,
    test: testOf(fieldType),
  }));
  return (value, resolve) => {
    if (!isFields(value)) return false;
    let present = 0;
    for (const { name, optional, test } of fields) {
      const field = fieldOf(value, name);
      if (field === undefined ? !optional : !test(field, resolve)) return false;
      if (field !== undefined) present += 1;
    }
    const names = Object.keys(value);
    // All names are known when no more are there than were found; otherwise some may be of fields set to undefined.
    return names.length === present || names.every((name) => !isExtra(validator, value, name));
  };
}

/** The message for a value that fails its test. */
function explain(validator: ValidatorJson, value: Value | undefined, resolve: IdResolver, path: string): string {
  switch (validator.type) {
    case "literal":
      return `\`${displayValue(value)}\` does not match literal validator \`${displayValidator(validator)}\`.${at(path)}`;
    case "union":
      // Convex names the whole union: which member was meant is not known, unless there is only one.
      if (validator.value.length === 1 && validator.value[0] !== undefined) {
        return explain(validator.value[0], value, resolve, path);
      }
      break;
    case "array": {
      if (!Array.isArray(value)) break;
      const element = testOf(validator.value);
      const index = value.findIndex((item) => !element(item, resolve));
      return explain(validator.value, value[index], resolve, `${path}[${index}]`);
    }
    case "record":
      if (isFields(value)) return explainRecord(validator, value, resolve, path);
      break;
    case "object":
      if (isFields(value)) return explainObject(validator, value, resolve, path);
      break;
  }
  return `Value does not match validator.${at(path)}\nValue: ${displayValue(value)}\nValidator: ${displayValidator(validator)}`;
}

function explainRecord(
  validator: ValidatorJson & { type: "record" },
  value: Fields,
  resolve: IdResolver,
  path: string,
): string {
  const { keys, values } = validator;
  for (const [name, field] of sortedByName(value)) {
    if (field === undefined) continue;
    if (!RECORD_KEY.test(name)) {
      const shown = JSON.stringify(name);
      return `Record key ${shown} is not allowed: keys are printable ASCII, not empty, and start with neither "$" nor "_".${at(path)}`;
    }
    if (!testOf(keys)(name, resolve)) return explain(keys, name, resolve, `${path}.keys()`);
    if (!testOf(values.fieldType)(field, resolve)) {
      return explain(values.fieldType, field, resolve, `${path}.values()`);
    }
  }
  throw new Error("The record matches its validator.");
}

function explainObject(
  validator: ValidatorJson & { type: "object" },
  value: Fields,
  resolve: IdResolver,
  path: string,
): string {
  const end = `${at(path)}\nObject: ${displayValue(value)}\nValidator: ${displayValidator(validator)}`;
  for (const [name, { fieldType, optional }] of sortedByName(validator.value)) {
    const field = fieldOf(value, name);
    if (field !== undefined) {
      if (!testOf(fieldType)(field, resolve)) return explain(fieldType, field, resolve, `${path}.${name}`);
    } else if (!optional) {
      return `Object is missing the required field \`${name}\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.${end}`;
    }
  }
  const extra = Object.keys(value)
    .sort()
    .find((name) => isExtra(validator, value, name));
  return `Object contains extra field \`${extra}\` that is not in the validator.${end}`;
}

function isExtra(validator: ValidatorJson & { type: "object" }, value: Fields, name: string): boolean {
  return value[name] !== undefined && !Object.hasOwn(validator.value, name);
}

/** Never a property of the prototype: fields may be called `constructor`. */
function fieldOf(value: Fields, name: string): Value | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function isFields(value: Value | undefined): value is Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !(value instanceof ArrayBuffer) && !(value instanceof CommitTsPlaceholder);
}

function at(path: string): string {
  return path === "" ? "" : `\nPath: ${path}`;
}
