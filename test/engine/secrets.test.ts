import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { APP_HOST, createSecretScope, parseSecrets, type SecretScope } from "../../src/engine/secrets.js";
import type { Json } from "../../src/shared/json.js";
import { thrownBy } from "./thrown.js";

const NONCE = "0123456789abcdef0123456789abcdef";
const OTHER_NONCE = "fedcba9876543210fedcba9876543210";
const VALUE = 'sk-1/"x"+\\é';
const CONFIG = {
  API_KEY: { value: VALUE, hosts: ["api.example.com", "*.example.org", "LOCALHOST:8080"] },
  APP_TOKEN: { value: "token-of-the-app", hosts: [APP_HOST] },
};

/** A scope in which the given values have been sent to the app. */
function scopeThatSent(values: string[]): SecretScope {
  const config = Object.fromEntries(values.map((value, i) => [`S${i}`, { value, hosts: [APP_HOST] }]));
  const scope = createSecretScope(parseSecrets(JSON.stringify(config)), NONCE);
  scope.resolve(
    Object.keys(config).map((name) => scope.marker(name)),
    APP_HOST,
  );
  return scope;
}
const scope = (nonce = NONCE): SecretScope => createSecretScope(parseSecrets(JSON.stringify(CONFIG)), nonce);

describe("parseSecrets", () => {
  it("reads names, values and hosts", () => {
    const table = parseSecrets(JSON.stringify(CONFIG));
    expect([...table]).toEqual([
      ["API_KEY", { value: VALUE, hosts: ["api.example.com", "*.example.org", "localhost:8080"] }],
      ["APP_TOKEN", { value: "token-of-the-app", hosts: ["app"] }],
    ]);
  });

  it.each([undefined, "", " \n", "{}"])("takes %j for no secrets", (text) => expect(parseSecrets(text).size).toBe(0));

  const SENSITIVE = "hunter2-hunter2";
  it.each<[string, string, RegExp]>([
    ["text that is not JSON", `{"A": ${SENSITIVE}}`, /not valid JSON/],
    ["a list", `["${SENSITIVE}"]`, /not an object/],
    ["a bare value", `{"A": "${SENSITIVE}"}`, /A is not an object with "value" and "hosts"/],
    ["a value for a name", `{"${SENSITIVE}": {"value": "x", "hosts": ["app"]}}`, /the name of entry 1/],
    ["__proto__", `{"__proto__": {"value": "${SENSITIVE}", "hosts": ["app"]}}`, /the name of entry 1/],
    ["a value that is no string", `{"A": {"value": ["${SENSITIVE}"], "hosts": ["app"]}}`, /value of A is not a string/],
    ["a short value", `{"A": {"value": "hunter2", "hosts": ["app"]}}`, /value of A is shorter than 8/],
    ["broken Unicode", `{"A": {"value": "${SENSITIVE}\\ud800", "hosts": ["app"]}}`, /value of A is not valid Unicode/],
    ["a further field", `{"A": {"value": "${SENSITIVE}", "hosts": ["app"], "x": 1}}`, /A has fields other than/],
    ["no hosts", `{"A": {"value": "${SENSITIVE}"}}`, /A has no list of hosts/],
    ["an empty list of hosts", `{"A": {"value": "${SENSITIVE}", "hosts": []}}`, /A has no list of hosts/],
    ["a URL for a host", `{"A": {"value": "${SENSITIVE}", "hosts": ["app", "https://a.b/c"]}}`, /host 2 of A/],
    ["every host", `{"A": {"value": "${SENSITIVE}", "hosts": ["*"]}}`, /host 1 of A/],
    ["a whole top-level domain", `{"A": {"value": "${SENSITIVE}", "hosts": ["*.com"]}}`, /host 1 of A/],
    ["a value for a host", `{"A": {"value": "${SENSITIVE}", "hosts": ["${SENSITIVE} "]}}`, /host 1 of A/],
  ])("refuses %s without echoing a value", (_, text, message) => {
    const error = thrownBy(() => parseSecrets(text));
    expect(error.code).toBe("SECRETS_CONFIG_INVALID");
    expect(error.message).toMatch(message);
    expect(JSON.stringify(error)).not.toContain("hunter2");
  });

  it("names all problems at once", () => {
    const error = thrownBy(() => parseSecrets('{"A": {"value": 1, "hosts": []}, "B": null}'));
    expect(error.problems).toHaveLength(3);
  });
});

describe("resolve", () => {
  it("puts values into strings at any depth, and leaves the rest alone", () => {
    const secrets = scope();
    const rendered = {
      headers: [{ authorization: `Bearer ${secrets.marker("API_KEY")}`, n: 1, none: null }],
      twice: secrets.marker("API_KEY") + secrets.marker("API_KEY"),
    };
    expect(secrets.resolve(rendered, "api.example.com")).toEqual({
      headers: [{ authorization: `Bearer ${VALUE}`, n: 1, none: null }],
      twice: VALUE + VALUE,
    });
  });

  it("keeps a field named __proto__ as data", () => {
    const value = JSON.parse('{"__proto__":{"admin":true}}') as Json;
    expect(JSON.stringify(scope().resolve(value, "api.example.com"))).toBe('{"__proto__":{"admin":true}}');
  });

  it("replaces in one pass: a value that looks like a marker stays as it is", () => {
    const config = {
      OUTER: { value: `secret.${NONCE}.INNER.`, hosts: ["app"] },
      INNER: { value: "x".repeat(8), hosts: ["app"] },
    };
    const secrets = createSecretScope(parseSecrets(JSON.stringify(config)), NONCE);
    expect(secrets.resolve(secrets.marker("OUTER"), APP_HOST)).toBe(`secret.${NONCE}.INNER.`);
  });

  it.each(["api.example.com", "API.Example.com", "a.example.org", "a.b.example.org", "localhost:8080"])(
    "sends to %s",
    (host) => {
      const secrets = scope();
      expect(secrets.resolve(secrets.marker("API_KEY"), host)).toBe(VALUE);
    },
  );

  it.each([
    "example.org",
    "badexample.org",
    "a.example.org.evil.com",
    "evil.com/a.example.org",
    "evil.com#.example.org",
    "evil.com\\.example.org",
    ".example.org",
    "a.example.org:8443",
    "api.example.com:8443",
    "api.example.com.",
    "localhost",
    "*.example.org",
    APP_HOST,
    "",
  ])("does not send to %j", (host) => {
    const secrets = scope();
    const error = thrownBy(() => secrets.resolve({ a: [secrets.marker("API_KEY")] }, host));
    expect(error.code).toBe("SECRET_NOT_ALLOWED");
    expect(error.message).toContain('"API_KEY"');
    expect(JSON.stringify(error)).not.toContain(JSON.stringify(VALUE).slice(1, -1));
  });

  it("sends to the app only what names it", () => {
    const secrets = scope();
    expect(secrets.resolve(secrets.marker("APP_TOKEN"), APP_HOST)).toBe("token-of-the-app");
    expect(thrownBy(() => secrets.resolve(secrets.marker("APP_TOKEN"), "api.example.com")).code).toBe(
      "SECRET_NOT_ALLOWED",
    );
  });

  it("refuses a secret as the name of a field", () => {
    const secrets = scope();
    const error = thrownBy(() => secrets.resolve({ [`x-${secrets.marker("API_KEY")}`]: 1 }, "api.example.com"));
    expect(error.code).toBe("SECRET_NOT_ALLOWED");
  });

  it("refuses a name that is not configured, also the name of an inherited member", () => {
    for (const name of ["MISSING", "constructor", "__proto__", ""]) {
      expect(thrownBy(() => scope().marker(name)).code).toBe("SECRET_UNKNOWN");
    }
    expect(thrownBy(() => scope().resolve(`secret.${NONCE}.MISSING.`, APP_HOST)).code).toBe("SECRET_UNKNOWN");
  });

  it("leaves markers of another scope, and all other data, untouched", () => {
    const foreign = scope(OTHER_NONCE).marker("API_KEY");
    const lookAlike = fc.constantFrom(
      foreign,
      "secret.",
      ".API_KEY.",
      `secret.${NONCE.slice(1)}.API_KEY.`,
      `${NONCE}.API_KEY.`,
      "$&",
    );
    const text = fc.array(fc.oneof(lookAlike, fc.string()), { maxLength: 6 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), text, text, (json, name, value) => {
        fc.pre(!`${name}|${value}`.includes(`secret.${NONCE}.API_KEY.`));
        const data = { [`n${name}`]: [value, json as Json] };
        expect(JSON.stringify(scope().resolve(data, "api.example.com"))).toBe(JSON.stringify(data));
      }),
      { seed: 61, numRuns: 500 },
    );
  });

  it("survives the encodings that a marker may go through before it is resolved", () => {
    const marker = scope().marker("API_KEY");
    expect(JSON.stringify(marker)).toBe(`"${marker}"`);
    expect(encodeURIComponent(marker)).toBe(marker);
    expect(new URLSearchParams({ k: marker }).toString()).toBe(`k=${marker}`);
  });

  it.each(["", "short", "a nonce with spaces in it!"])("does not open a scope with the nonce %j", (nonce) => {
    expect(thrownBy(() => scope(nonce)).code).toBe("INTERNAL");
  });
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);
const percentAll = (text: string): string =>
  Array.from(utf8(text), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
/** As encoders write it that keep to ASCII: Python, Ruby, PHP. */
const asciiJson = (text: string): string =>
  inJson(text).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

const ENCODINGS: Record<string, (text: string) => string> = {
  "as it is": (text) => text,
  JSON: inJson,
  "JSON in JSON": (text) => inJson(inJson(text)),
  "ASCII JSON": asciiJson,
  "upper-case ASCII JSON": (text) =>
    asciiJson(text).replace(/\\u[0-9a-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`),
  "JSON with escaped slashes": (text) => inJson(text).replaceAll("/", "\\/"),
  "JSON safe for HTML": (text) => inJson(text).replace(/[<>&'+]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`),
  "URI component": encodeURIComponent,
  "URI component, lower case": (text) => encodeURIComponent(text).replace(/%../g, (escape) => escape.toLowerCase()),
  "URI component, twice": (text) => encodeURIComponent(encodeURIComponent(text)),
  URI: encodeURI,
  form: (text) => new URLSearchParams({ k: text }).toString().slice(2),
  "percent for every sign": (text) => text.replace(/[^A-Za-z0-9]/gu, percentAll),
  hex: (text) => Buffer.from(text, "utf8").toString("hex"),
  "upper-case hex": (text) => Buffer.from(text, "utf8").toString("hex").toUpperCase(),
  base64,
  "base64 without padding": (text) => base64(text).replaceAll("=", ""),
  base64url: (text) => Buffer.from(text, "utf8").toString("base64url"),
  "base64 in a URI": (text) => encodeURIComponent(base64(text)),
  "base64 in JSON with escaped slashes": (text) => base64(text).replaceAll("/", "\\/"),
  "base64 in JSON safe for HTML": (text) => base64(text).replaceAll("+", "\\u002b"),
};

const secretValue = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(..."abcXYZ0189") },
    { weight: 3, arbitrary: fc.constantFrom(..."\"\\/ +%&=?<>'-_.~!*()[]{}|^$#\n\t\x01") },
    { weight: 1, arbitrary: fc.constantFrom("é", "日", "😀", "\u2028") },
  ),
  minLength: 8,
  maxLength: 30,
});
/** Text of signs that no secret above can continue into. */
const surroundings = fc.string({ unit: fc.constantFrom(..."ghjkGHJK;, "), maxLength: 12 });

describe("scrub", () => {
  it.each(Object.entries(ENCODINGS))("finds a secret in text: %s", (_, encode) => {
    fc.assert(
      fc.property(secretValue, surroundings, surroundings, (value, before, after) => {
        const planted = encode(value);
        const scrubbed = scopeThatSent([value]).scrub(`${before};${planted};${after};${planted}`);
        expect(scrubbed).toBe(`${before};[secret S0];${after};[secret S0]`);
      }),
      { seed: 62, numRuns: 200 },
    );
  });

  it.each(["base64", "base64url"] as const)(
    "finds a secret inside %s of a longer text, at every alignment",
    (encoding) => {
      const bytes = fc.string({ unit: "binary-ascii", maxLength: 9 });
      fc.assert(
        fc.property(secretValue, bytes, bytes, (value, before, after) => {
          const scrubbed = scopeThatSent([value]).scrub(Buffer.from(before + value + after, "utf8").toString(encoding));
          const [left, right, ...more] = scrubbed.split("[secret S0]");
          expect(more).toEqual([]);
          // What is left may hold no character that belongs to the secret alone.
          expect(left?.length).toBeLessThanOrEqual(Math.ceil((before.length * 8) / 6));
          expect(right?.replaceAll("=", "").length).toBeLessThanOrEqual(Math.ceil((after.length * 8) / 6));
        }),
        { seed: 63, numRuns: 1000 },
      );
    },
  );

  it("leaves no secret behind, in any encoding, among several that may overlap", () => {
    const overlapping = fc
      .tuple(secretValue, fc.nat({ max: 7 }), secretValue)
      .map(([value, cut, tail]) => [value, [...value].slice(cut).join("") + tail, tail]);
    const several = fc.oneof(overlapping, fc.array(secretValue, { minLength: 1, maxLength: 4 }));
    const encoding = fc.constantFrom(...Object.values(ENCODINGS));
    fc.assert(
      fc.property(several, fc.array(fc.tuple(fc.nat(), encoding, surroundings), { maxLength: 6 }), (values, plan) => {
        const text = plan
          .map(([pick, encode, between]) => encode(values[pick % values.length] ?? "") + between)
          .join("");
        const scrubbed = scopeThatSent(values).scrub(text + values.join(""));
        for (const value of values) {
          for (const encode of Object.values(ENCODINGS)) expect(scrubbed).not.toContain(encode(value));
        }
      }),
      { seed: 64, numRuns: 500 },
    );
  });

  it("covers both of two secrets that overlap", () => {
    const secrets = scopeThatSent(["abcdefgh1234", "1234ijklmnop"]);
    expect(secrets.scrub("<abcdefgh1234ijklmnop>")).toBe("<[secret S0][secret S1]>");
  });

  it("finds a private key of many lines in an error text", () => {
    const lines = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/+==\n".repeat(60);
    const key = `-----BEGIN PRIVATE KEY-----\n${lines}-----END PRIVATE KEY-----`;
    const secrets = scopeThatSent([key]);
    expect(secrets.scrub(`401: ${JSON.stringify({ sent: key })}`)).toBe('401: {"sent":"[secret S0]"}');
    expect(secrets.scrub(base64(key))).toBe("[secret S0]");
  });

  it("leaves text without secrets as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(scopeThatSent(["correct-horse-battery"]).scrub(text)).toBe(text);
      }),
      { seed: 65 },
    );
  });

  it("scrubs only what has been sent", () => {
    const secrets = scope();
    expect(secrets.scrub("token-of-the-app")).toBe("token-of-the-app");
    secrets.resolve(secrets.marker("APP_TOKEN"), APP_HOST);
    expect(secrets.scrub(`token-of-the-app ${VALUE}`)).toBe(`[secret APP_TOKEN] ${VALUE}`);
  });

  it("does not count a secret that was refused", () => {
    const secrets = scope();
    thrownBy(() => secrets.resolve(secrets.marker("APP_TOKEN"), "api.example.com"));
    expect(secrets.scrub("token-of-the-app")).toBe("token-of-the-app");
  });
});

describe("scrubJson", () => {
  it("scrubs strings, names and numbers at any depth", () => {
    const secrets = scopeThatSent(["1234567890", "token-of-the-app"]);
    const echoed = {
      "token-of-the-app": [{ pin: 1234567890, near: 123456789, text: "x 1234567890 y" }],
      ok: true,
      no: null,
    };
    expect(secrets.scrubJson(echoed)).toEqual({
      "[secret S1]": [{ pin: "[secret S0]", near: 123456789, text: "x [secret S0] y" }],
      ok: true,
      no: null,
    });
  });

  it("leaves no planted secret anywhere in a value, and keeps values without one", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 3 }),
        secretValue,
        fc.constantFrom(...Object.values(ENCODINGS)),
        (json, value, encode) => {
          const secrets = scopeThatSent([value]);
          const planted = { [encode(value)]: [json as Json, { deep: `a;${encode(value)};b` }] };
          expect(secrets.scrubJson(planted)).toEqual({ "[secret S0]": [json, { deep: "a;[secret S0];b" }] });
        },
      ),
      { seed: 66, numRuns: 500 },
    );
  });
});
