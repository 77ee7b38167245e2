/**
 * The file that definitions are exported to and imported from.
 *
 * Owns: its shape, and the check that text or data has that shape. Whether a definition in it is valid is checked by the
 * component, with the actions and models of the deployment. Invariant: what is read has every field it says, numbers
 * that are unique, and an active version that is there; otherwise every fault is reported at once.
 */
import { DEFINITIONS_FILE, DEFINITIONS_FILE_VERSION } from "../shared/definitionsFile.js";
import { shardflowError, shardflowErrorData } from "../shared/errors.js";
import { assertJson, isJsonObject, utf8Bytes, type Json, type JsonObject } from "../shared/json.js";
import {
  MAX_DEFINITION_BYTES,
  MAX_DEFINITIONS_FILE_BYTES,
  MAX_KEY_LENGTH,
  MAX_NAME_LENGTH,
  MAX_VERSION_NUMBER,
} from "../shared/limits.js";
import type { DefinitionSource } from "./definitionSource.js";

/** Definitions with their versions, as one JSON value. */
export type DefinitionsFile = {
  format: typeof DEFINITIONS_FILE;
  formatVersion: typeof DEFINITIONS_FILE_VERSION;
  /** When (ms since the epoch). */
  exportedAt?: number;
  definitions: ExportedDefinition[];
};

export type ExportedDefinition = {
  scope: string;
  name: string;
  /** The version that new executions use; null when there is none. */
  activeVersion: number | null;
  /** Its source is a text: a draft may be anything. */
  draft?: { source: string };
  versions: ExportedVersion[];
};

export type ExportedVersion = {
  version: number;
  note?: string;
  /** When (ms since the epoch). */
  publishedAt?: number;
  /** In the format that it was published in. */
  definition: DefinitionSource;
};

/** The faults of a file that are listed; a file of anything else has a fault everywhere. */
const MAX_FAULTS = 200;

/**
 * Reads a file of definitions. `importAll` does so itself; this is for looking at a file before.
 *
 * Guarantee: what comes back has the shape of a file; its definitions are not validated.
 *
 * @param file - The file as JSON text or as data. The text may be a JSON string that holds the file, as
 *   `npx convex run` prints it.
 * @returns The file.
 * @throws {IMPORT_INVALID} with every fault as `problems` of `path` and `message`. {VALUE_TOO_LARGE} when the text is
 *   over 32 MB.
 * @example
 * ```ts
 * const { definitions } = readDefinitionsFile(textOfTheFile);
 * console.log(definitions.map(({ name, versions }) => `${name}: ${versions.length} versions`));
 * ```
 */
export function readDefinitionsFile(file: unknown): DefinitionsFile {
  const faults = new Faults();
  const data = typeof file === "string" ? parse(file, faults) : file;
  if (faults.isEmpty) checkFile(data, faults);
  faults.throwIfAny();
  // Every field was checked.
  return data as DefinitionsFile;
}

function parse(text: string, faults: Faults): unknown {
  const bytes = utf8Bytes(text);
  if (bytes > MAX_DEFINITIONS_FILE_BYTES) {
    throw shardflowError("VALUE_TOO_LARGE", {
      message: `The file has ${bytes} bytes; at most ${MAX_DEFINITIONS_FILE_BYTES} are imported. Export fewer definitions at a time.`,
    });
  }
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === "string" ? (JSON.parse(data) as unknown) : data;
  } catch (error) {
    faults.add("", `The file is not JSON: ${error instanceof Error ? error.message : String(error)}.`);
    return null;
  }
}

function checkFile(file: unknown, faults: Faults): void {
  if (!isJsonObject(file) || file.format !== DEFINITIONS_FILE) {
    faults.add("format", `This is no file of definitions: its \`format\` is not "${DEFINITIONS_FILE}".`);
    return;
  }
  const { formatVersion, definitions, exportedAt } = file;
  if (formatVersion !== DEFINITIONS_FILE_VERSION) {
    const isNewer = typeof formatVersion === "number" && formatVersion > DEFINITIONS_FILE_VERSION;
    const advice = isNewer ? " It was made by a newer version of Shardflow: upgrade." : "";
    faults.add(
      "formatVersion",
      `It is ${show(formatVersion)}; this version reads ${DEFINITIONS_FILE_VERSION}.${advice}`,
    );
    return;
  }
  faults.unknownFields("", file, ["format", "formatVersion", "exportedAt", "definitions"]);
  if (exportedAt !== undefined) faults.checkTime("exportedAt", exportedAt);
  if (!Array.isArray(definitions)) return faults.add("definitions", `It is ${show(definitions)}; expected a list.`);
  const seen = new Set<string>();
  definitions.forEach((entry, i) => checkEntry(entry, `definitions[${i}]`, seen, faults));
}

function checkEntry(entry: Json, path: string, seen: Set<string>, faults: Faults): void {
  if (!isJsonObject(entry)) return faults.add(path, `It is ${show(entry)}; expected an object.`);
  const { scope, name, activeVersion, draft, versions } = entry;
  faults.unknownFields(path, entry, ["scope", "name", "activeVersion", "draft", "versions"]);
  faults.checkText(`${path}.scope`, scope, 0, MAX_KEY_LENGTH);
  faults.checkText(`${path}.name`, name, 1, MAX_NAME_LENGTH);
  const key = JSON.stringify([scope, name]);
  if (seen.has(key)) faults.add(path, `The definition ${show(name)} of scope ${show(scope)} is in the file twice.`);
  seen.add(key);
  if (draft !== undefined) checkDraft(draft, `${path}.draft`, faults);
  if (!Array.isArray(versions)) return faults.add(`${path}.versions`, `It is ${show(versions)}; expected a list.`);
  const numbers = new Set<Json | undefined>();
  versions.forEach((version, i) => checkVersion(version, `${path}.versions[${i}]`, numbers, faults));
  if (activeVersion !== null && !numbers.has(activeVersion)) {
    faults.add(
      `${path}.activeVersion`,
      `It is ${show(activeVersion)}; expected the number of a version in the file, or null.`,
    );
  }
}

function checkDraft(draft: Json, path: string, faults: Faults): void {
  if (!isJsonObject(draft) || typeof draft.source !== "string") {
    return faults.add(path, "Expected an object with the `source` of the draft as text.");
  }
  faults.unknownFields(path, draft, ["source"]);
  if (utf8Bytes(draft.source) <= MAX_DEFINITION_BYTES) return;
  faults.add(`${path}.source`, `It is larger than ${MAX_DEFINITION_BYTES} bytes, as no draft can be.`);
}

function checkVersion(entry: Json, path: string, numbers: Set<Json | undefined>, faults: Faults): void {
  if (!isJsonObject(entry)) return faults.add(path, `It is ${show(entry)}; expected an object.`);
  const { version, note, publishedAt, definition } = entry;
  faults.unknownFields(path, entry, ["version", "note", "publishedAt", "definition"]);
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1 || version > MAX_VERSION_NUMBER) {
    faults.add(`${path}.version`, `It is ${show(version)}; expected a whole number from 1 to ${MAX_VERSION_NUMBER}.`);
  } else if (numbers.has(version)) faults.add(`${path}.version`, `The definition has version ${version} twice.`);
  numbers.add(version);
  if (note !== undefined && typeof note !== "string") faults.add(`${path}.note`, `It is ${show(note)}; expected text.`);
  if (publishedAt !== undefined) faults.checkTime(`${path}.publishedAt`, publishedAt);
  if (!isJsonObject(definition)) {
    return faults.add(`${path}.definition`, `It is ${show(definition)}; expected an object.`);
  }
  try {
    assertJson(definition, "The definition");
  } catch (error) {
    faults.add(`${path}.definition`, shardflowErrorData(error)?.message ?? String(error));
  }
}

class Faults {
  readonly #faults: Array<{ path: string; message: string }> = [];
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  add(path: string, message: string): void {
    this.#count++;
    if (this.#faults.length < MAX_FAULTS) this.#faults.push({ path, message });
  }

  unknownFields(path: string, object: JsonObject, known: readonly string[]): void {
    for (const field of Object.keys(object)) {
      if (known.includes(field)) continue;
      this.add(path === "" ? field : `${path}.${field}`, `There is no such field. Known fields: ${known.join(", ")}.`);
    }
  }

  checkText(path: string, value: Json | undefined, min: number, max: number): void {
    if (typeof value === "string" && value.length >= min && value.length <= max) return;
    this.add(path, `It is ${show(value)}; expected a text of ${min} to ${max} characters.`);
  }

  checkTime(path: string, value: Json): void {
    if (typeof value === "number" && Number.isFinite(value)) return;
    this.add(path, `It is ${show(value)}; expected a time in milliseconds since the epoch.`);
  }

  throwIfAny(): void {
    const [first] = this.#faults;
    if (first === undefined) return;
    const place = first.path === "" ? "" : `${first.path}: `;
    throw shardflowError("IMPORT_INVALID", {
      message: `The file cannot be imported, and nothing was. It has ${this.#count} fault(s); the first: ${place}${first.message}`,
      problems: this.#faults,
    });
  }
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return `a ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
