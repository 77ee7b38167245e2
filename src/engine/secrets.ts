/**
 * Secrets: configured by name, sent only to their hosts, never seen again.
 *
 * Owns: reading the configuration, the markers that stand for secrets while arguments are rendered, putting the values
 * in, and taking them out of whatever comes back. Invariants: (K1) a value leaves only through `resolve`, and only for
 * a host of its list; (K2) no error or text made here holds a value; (K3) data cannot name a secret: a marker holds
 * the nonce of its scope, which is drawn anew for each attempt, so that a marker that got out is worth nothing.
 */
import { shardflowError } from "../shared/errors.js";
import { isJsonObject, type Json } from "../shared/json.js";
import { MAX_SECRET_NAME_LENGTH, MIN_SECRET_LENGTH } from "../shared/limits.js";
import { secretPatterns } from "./secretPattern.js";

export type Secret = { readonly value: string; readonly hosts: readonly string[] };
export type SecretTable = ReadonlyMap<string, Secret>;
export type SecretSource = Pick<SecretTable, "get">;

/** The "host" of action nodes: the app's own functions. */
export const APP_HOST = "app";

const NAME = new RegExp(`^[A-Za-z][A-Za-z0-9_]{0,${MAX_SECRET_NAME_LENGTH - 1}}$`);
/** As `new URL(url).host` gives it: lower case, the port if it is not the default one. */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
/** Not for a whole top-level domain. */
const WILDCARD = /^\*\.[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?::[0-9]{1,5})?$/;
const NONCE = /^[A-Za-z0-9_-]{22,}$/;

/**
 * Reads SHARDFLOW_SECRETS: `{ "NAME": { "value": "...", "hosts": ["api.example.com", "*.example.org", "app"] } }`.
 * Nothing configured is an empty table.
 * @throws {SECRETS_CONFIG_INVALID} naming every problem, never a value. A malformed name is not echoed either: it may
 *   be a value in the wrong place.
 */
export function parseSecrets(text: string | undefined): SecretTable {
  if (text === undefined || text.trim() === "") return new Map();
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    throw invalidConfig(["it is not valid JSON"]);
  }
  if (!isJsonObject(config)) throw invalidConfig(["it is not an object of names"]);
  const entries = Object.entries(config);
  const problems = entries.flatMap(([name, entry], i) => problemsOf(name, entry, i + 1));
  if (problems.length > 0) throw invalidConfig(problems);
  return new Map(
    (entries as Array<[string, Secret & Json]>).map(([name, { value, hosts }]) => [
      name,
      { value, hosts: hosts.map((host) => host.toLowerCase()) },
    ]),
  );
}

/** Reads the configuration when a secret is first asked for: a mistake in it is told by the nodes that use one. */
export function lazySecrets(text: string | undefined): SecretSource {
  let table: SecretTable | undefined;
  return { get: (name) => (table ??= parseSecrets(text)).get(name) };
}

function problemsOf(name: string, entry: Json, ordinal: number): string[] {
  if (!NAME.test(name)) {
    return [
      `the name of entry ${ordinal} is not a letter and up to ${MAX_SECRET_NAME_LENGTH - 1} letters, digits or _`,
    ];
  }
  if (!isJsonObject(entry)) return [`${name} is not an object with "value" and "hosts"`];
  const { value, hosts, ...others } = entry;
  const problems: string[] = [];
  if (Object.keys(others).length > 0) problems.push(`${name} has fields other than "value" and "hosts"`);
  if (typeof value !== "string") problems.push(`the value of ${name} is not a string`);
  else if (value.length < MIN_SECRET_LENGTH) {
    problems.push(`the value of ${name} is shorter than ${MIN_SECRET_LENGTH} characters, too short to be scrubbed`);
  } else if (/\p{Surrogate}/u.test(value)) problems.push(`the value of ${name} is not valid Unicode`);
  if (!Array.isArray(hosts) || hosts.length === 0) problems.push(`${name} has no list of hosts`);
  else {
    hosts.forEach((host, i) => {
      if (typeof host === "string" && (HOST.test(host.toLowerCase()) || WILDCARD.test(host.toLowerCase()))) return;
      problems.push(
        `host ${i + 1} of ${name} is not a host such as "api.example.com", "*.example.com" or "${APP_HOST}"`,
      );
    });
  }
  return problems;
}

function invalidConfig(problems: string[]): Error {
  return shardflowError("SECRETS_CONFIG_INVALID", {
    message: `SHARDFLOW_SECRETS cannot be used: ${problems.join("; ")}. Correct it in the deployment's environment.`,
    problems: problems.map((message) => ({ message })),
  });
}

export type SecretScope = {
  /** The text that stands for a secret until {@link SecretScope.resolve}. It survives JSON, URI and form encoding. */
  marker(name: string): string;
  /**
   * Puts the values of secrets into a rendered value that is about to be sent to a host.
   * @param host - `new URL(url).host`, or {@link APP_HOST} for a function of the app.
   */
  resolve(value: Json, host: string): Json;
  /** Replaces every secret that this scope has resolved, in any encoding, by `[secret NAME]`. */
  scrub(text: string): string;
  /** {@link SecretScope.scrub} for all strings, names and numbers of a value. */
  scrubJson(value: Json): Json;
};

/**
 * Secrets for one attempt of a node.
 * @param nonce - at least 22 random characters of `A-Z a-z 0-9 _ -` (128 bits), drawn for this attempt alone.
 */
export function createSecretScope(table: SecretSource, nonce: string): SecretScope {
  if (!NONCE.test(nonce)) {
    throw shardflowError("INTERNAL", { message: "The nonce of a secret scope is too short. Please report it." });
  }
  const markers = new RegExp(`secret\\.${nonce}\\.([A-Za-z0-9_]+)\\.`, "g");
  const used = new Map<string, RegExp[]>();

  const find = (name: string): Secret => {
    const secret = table.get(name);
    if (secret !== undefined) return secret;
    throw shardflowError("SECRET_UNKNOWN", {
      message: `No secret is named ${JSON.stringify(name.slice(0, MAX_SECRET_NAME_LENGTH))}. Add it to SHARDFLOW_SECRETS.`,
    });
  };
  const reveal = (name: string, host: string): string => {
    const { value, hosts } = find(name);
    if (!hosts.some((allowed) => matchesHost(host.toLowerCase(), allowed))) throw notAllowed(name, `to "${host}"`);
    if (!used.has(name)) used.set(name, secretPatterns(value));
    return value;
  };
  const scrub = (text: string): string => (used.size === 0 ? text : replaceSecrets(text, used));

  return {
    marker(name) {
      find(name);
      return `secret.${nonce}.${name}.`;
    },
    resolve(value, host) {
      return mapLeaves(
        value,
        (leaf) =>
          typeof leaf === "string" ? leaf.replace(markers, (_marker, name: string) => reveal(name, host)) : leaf,
        (key) => {
          const name = [...key.matchAll(markers)][0]?.[1];
          if (name !== undefined) throw notAllowed(name, "as the name of a field");
          return key;
        },
      );
    },
    scrub,
    scrubJson(value) {
      if (used.size === 0) return value;
      return mapLeaves(value, (leaf) => scrubLeaf(leaf, scrub), scrub);
    },
  };
}

function matchesHost(host: string, allowed: string): boolean {
  if (!allowed.startsWith("*.")) return host === allowed;
  // Only a real host may match by its end: "evil.com/x.example.com" ends like one, too.
  return HOST.test(host) && host.endsWith(allowed.slice(1));
}

function notAllowed(name: string, destination: string): Error {
  return shardflowError("SECRET_NOT_ALLOWED", {
    message: `Secret "${name}" may not be sent ${destination.slice(0, 200)}. Its hosts are set in SHARDFLOW_SECRETS.`,
  });
}

/** A number is changed only if its digits are a secret, so that a numeric one cannot come back as a number. */
function scrubLeaf(leaf: Leaf, scrub: (text: string) => string): Leaf {
  if (typeof leaf === "string") return scrub(leaf);
  if (typeof leaf !== "number") return leaf;
  const scrubbed = scrub(String(leaf));
  return scrubbed === String(leaf) ? leaf : scrubbed;
}

/** Finds all secrets in the original text first: replacing one by one would leave the rest of overlapping ones. */
function replaceSecrets(text: string, patternsByName: ReadonlyMap<string, RegExp[]>): string {
  const found: Array<{ start: number; end: number; names: Set<string> }> = [];
  for (const [name, patterns] of patternsByName) {
    for (const pattern of patterns) {
      for (const { index, 0: match } of text.matchAll(pattern)) {
        found.push({ start: index, end: index + match.length, names: new Set([name]) });
      }
    }
  }
  found.sort((a, b) => a.start - b.start);
  const merged: typeof found = [];
  for (const span of found) {
    const last = merged.at(-1);
    if (last === undefined || span.start >= last.end) merged.push(span);
    else {
      last.end = Math.max(last.end, span.end);
      for (const name of span.names) last.names.add(name);
    }
  }
  let scrubbed = "";
  let end = 0;
  for (const span of merged) {
    scrubbed += text.slice(end, span.start) + Array.from(span.names, (name) => `[secret ${name}]`).join("");
    end = span.end;
  }
  return scrubbed + text.slice(end);
}

type Leaf = Exclude<Json, object>;

/** A copy of a value with every leaf and every name mapped. Defines members, so that `__proto__` stays data. */
function mapLeaves(value: Json, onLeaf: (leaf: Leaf) => Json, onName: (name: string) => string): Json {
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, onLeaf, onName));
  if (!isJsonObject(value)) return onLeaf(value);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [onName(name), mapLeaves(member, onLeaf, onName)]),
  );
}
