/**
 * Removes keys from texts that came from outside.
 *
 * Owns: which values of the configuration are secret, and the encodings they are looked for in. Invariant: whatever
 * leaves this folder has gone through here, because a provider, a proxy or a runtime may quote what it was sent.
 */
import type { Json } from "../shared/json.js";
import type { ModelConfig } from "./config.js";

export type Scrubber = {
  /** For what others said: removes keys, masked keys and all configured header values. */
  foreign: (text: string) => string;
  /** For our own messages, which may quote a definition or an answer: removes keys. */
  own: (text: string) => string;
  /** For answers: removes keys. Only those too long to be ordinary words, so that answers stay as they are. */
  output: (value: Json) => Json;
};

const REMOVED = "[secret]";
const MIN_FOREIGN_LENGTH = 4;
const MIN_OWN_LENGTH = 8;
const CREDENTIAL_HEADER = /auth|key|token|secret|cookie|password|credential/i;
/** Keys that a provider quotes with stars in place of the middle still show both ends. */
const MASKED_KEY = /[^\s"']*\*{3,}[^\s"',.]*/g;

export function createScrubber(config: ModelConfig): Scrubber {
  const credentials: string[] = [];
  const others: string[] = [];
  for (const { apiKey, headers } of config.providers.values()) {
    if (apiKey !== null) credentials.push(apiKey);
    for (const [name, value] of Object.entries(headers)) {
      const target = CREDENTIAL_HEADER.test(name) ? credentials : others;
      // Of `Bearer abc` and `Basic abc` the second word is the secret.
      target.push(value, ...value.split(" ").slice(1));
    }
  }
  const inForeign = encodings([...credentials, ...others], MIN_FOREIGN_LENGTH);
  const inOwn = encodings(credentials, MIN_OWN_LENGTH);
  const own = (text: string): string => remove(text, inOwn);
  const output = (value: Json): Json => {
    if (typeof value === "string") return own(value);
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(output);
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [own(key), output(member)]));
  };
  return { foreign: (text) => remove(text, inForeign).replace(MASKED_KEY, REMOVED), own, output };
}

function remove(text: string, needles: string[]): string {
  return needles.reduce((rest, needle) => (rest.includes(needle) ? rest.replaceAll(needle, REMOVED) : rest), text);
}

/** Every form of every secret, longest first, so that no form is cut by a shorter one inside it. */
function encodings(secrets: string[], minLength: number): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < minLength) continue;
    const inUrl = encodeURIComponent(secret);
    const lowerCase = inUrl.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
    const inForm = new URLSearchParams({ s: secret }).toString().slice(2);
    for (const form of [secret, inUrl, lowerCase, inForm, JSON.stringify(secret).slice(1, -1)]) forms.add(form);
    for (const form of base64Forms(secret)) forms.add(form);
  }
  return [...forms].sort((a, b) => b.length - a.length);
}

/** The base64 characters that only this text decides, for each of the three places it can start at in a larger one. */
function base64Forms(secret: string): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = btoa("\0".repeat(offset) + secret).replace(/=+$/, "");
    const isWhole = (offset + secret.length) % 3 === 0;
    const form = encoded.slice(offset === 0 ? 0 : offset + 1, isWhole ? undefined : -1);
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
