/**
 * The versions of each document in the order in which one replaced the other.
 *
 * Owns: that order, taken from what each write replaced and not from timestamps. Invariant: two writes that replaced the
 * same version are both in it, and reported.
 */
import type { StoredDocument, Table } from "../store/table.js";
import { documentKey, type Entry, type Violation } from "./recorder.js";

/** `by`: place in the history of who wrote it; -1 is nobody. */
export type Version = { readonly by: number; readonly document: StoredDocument | null };
export type Versions = { readonly table: Table; readonly id: string; readonly list: readonly Version[] };
/** Two entries that replaced the same version of a document. */
export type Fork = { readonly a: number; readonly b: number; readonly id: string };

type Replacement = { by: number; before: StoredDocument | null; after: StoredDocument | null };

const NOBODY: Version = { by: -1, document: null };

export function versionsOf(history: readonly Entry[]): {
  documents: Map<string, Versions>;
  forks: Fork[];
  violations: Violation[];
} {
  const written = new Map<string, { table: Table; id: string; replacements: Replacement[] }>();
  for (const [by, { commit }] of history.entries()) {
    for (const { table, id, before, after } of commit?.writes ?? []) {
      const key = documentKey(table, id);
      const known = written.get(key);
      if (known === undefined) written.set(key, { table, id, replacements: [{ by, before, after }] });
      else known.replacements.push({ by, before, after });
    }
  }
  const documents = new Map<string, Versions>();
  const forks: Fork[] = [];
  const violations: Violation[] = [];
  for (const [key, { table, id, replacements }] of written) {
    const list: Version[] = [NOBODY];
    const left = new Set(replacements);
    for (let current: StoredDocument | null = null; ;) {
      const next = [...left].filter(({ before }) => before === current);
      for (const [i, one] of next.entries()) {
        left.delete(one);
        list.push({ by: one.by, document: one.after });
        for (const other of next.slice(i + 1)) forks.push({ a: one.by, b: other.by, id });
      }
      const last = next.at(-1);
      // Nothing comes after a deletion: ids are never used again.
      if (last === undefined || last.after === null) break;
      current = last.after;
    }
    if (left.size > 0) {
      const message = `${key} was written ${left.size} times over versions that are not its newest ones.`;
      violations.push({ kind: "versions", message });
      for (const { by, after } of left) list.push({ by, document: after });
    }
    documents.set(key, { table, id, list });
  }
  return { documents, forks, violations };
}
