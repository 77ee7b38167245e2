/**
 * Traces in a form in which two systems can agree: ids by the order in which they come up, no times of creation, and
 * fields in the order of their names.
 */
import type { Value } from "convex/values";

/** Of the simulation, and of convex-test. Texts of programs are too short for either. */
const ID = /^([0-9a-hjkmnp-tv-z]{31,37}|\d{10,}[a-z_]\w*)$/;

export class Normal {
  readonly #ids = new Map<string, string>();

  of(value: Value | undefined): unknown {
    if (typeof value === "string") return this.#text(value);
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
    if (typeof value !== "object" || value === null) return value ?? null;
    if (value instanceof ArrayBuffer) return `bytes ${[...new Uint8Array(value)].join(" ")}`;
    if (Array.isArray(value)) return value.map((item) => this.of(item));
    const fields: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (name === "_creationTime" || field === undefined) continue;
      fields[name] = this.of(field as Value);
    }
    return fields;
  }

  #text(value: string): string {
    if (!ID.test(value)) return JSON.stringify(value);
    let name = this.#ids.get(value);
    if (name === undefined) this.#ids.set(value, (name = `#${this.#ids.size}`));
    return name;
  }
}
