/**
 * What an import did, as data and as text.
 *
 * Owns: the report. Invariant: every definition of the file is in `created`, `updated`, `unchanged`, `conflicts` or
 * `invalid`; the other lists say more about those.
 */
/** Which definition. */
export type ImportedDefinition = { scope: string; name: string };

export type ImportProblem = {
  code: string;
  /** Where, as in `nodes.route.cases[0].if`. */
  path: string;
  message: string;
};

export type ImportReport = {
  /** Nothing was written: the report says what would be. */
  dryRun: boolean;
  /** Whether every definition of the file is there now as in the file, or as newer as it was before. */
  ok: boolean;
  counts: {
    definitions: number;
    created: number;
    updated: number;
    unchanged: number;
    /** Definitions, not versions, as `invalid`. */
    conflicts: number;
    invalid: number;
    /** Versions that were added. */
    versions: number;
  };
  /** Were not there; with the versions that were added, and the active one. */
  created: Array<ImportedDefinition & { versions: number[]; activeVersion: number | null }>;
  /** Were there and changed. */
  updated: Array<ImportedDefinition & { versions: number[]; activeVersion: number | null }>;
  unchanged: ImportedDefinition[];
  /** Versions that exist with another content. Their definitions were left as they are. */
  conflicts: Array<ImportedDefinition & { version: number | null; reason: string }>;
  /** Versions with problems. Their definitions were left as they are. */
  invalid: Array<ImportedDefinition & { version: number; problems: ImportProblem[] }>;
  /** Versions that were imported although they name actions or model providers that are not known here. */
  unbound: Array<ImportedDefinition & { version: number; problems: ImportProblem[] }>;
  /** Versions that were imported from an older definition format. */
  migrated: Array<ImportedDefinition & { version: number; from: number; to: number }>;
  /** What was not taken from the file, because there is something here already. */
  kept: Array<ImportedDefinition & { reason: string }>;
};

export function emptyReport(dryRun: boolean, definitions: number): ImportReport {
  const counts = { definitions, created: 0, updated: 0, unchanged: 0, conflicts: 0, invalid: 0, versions: 0 };
  const lists = { created: [], updated: [], unchanged: [], conflicts: [], invalid: [], unbound: [], migrated: [] };
  return { dryRun, ok: true, counts, ...lists, kept: [] };
}

/** Fills in what follows from the lists. */
export function summarized(report: ImportReport): ImportReport {
  const { created, updated, unchanged, conflicts, invalid } = report;
  const definitionsIn = (list: ImportedDefinition[]) =>
    new Set(list.map((one) => JSON.stringify([one.scope, one.name])));
  const counts = {
    ...report.counts,
    created: created.length,
    updated: updated.length,
    unchanged: unchanged.length,
    conflicts: definitionsIn(conflicts).size,
    invalid: definitionsIn(invalid).size,
    versions: [...created, ...updated].reduce((sum, { versions }) => sum + versions.length, 0),
  };
  return { ...report, ok: conflicts.length + invalid.length === 0, counts };
}

/**
 * An import's report as text for people: a line that sums up, then a line for each thing to know.
 *
 * Guarantee: everything that is in the report is in the text.
 *
 * @param report - From `importAll`.
 * @returns Lines, joined by line feeds.
 * @throws Nothing.
 * @example
 * ```ts
 * const report = await shardflow.definitions.importAll(ctx, textOfTheFile, { dryRun: true });
 * console.log(formatImportReport(report));
 * ```
 */
export function formatImportReport(report: ImportReport): string {
  const { counts, dryRun } = report;
  const { definitions, created, updated, unchanged, conflicts, invalid, versions } = counts;
  const sum =
    `${definitions} definition(s): ${created} created, ${updated} updated, ${unchanged} unchanged, ` +
    `${conflicts} in conflict, ${invalid} invalid; ${versions} version(s) added.`;
  const lines = [dryRun ? `Dry run, nothing was written. It would be: ${sum}` : sum];
  const line = (word: string, one: ImportedDefinition & { version?: number | null }, text: string) =>
    lines.push(`${word.padEnd(9)} ${nameOf(one)}${text === "" ? "" : `: ${text}`}`);
  for (const one of report.created) line("created", one, changesOf(one));
  for (const one of report.updated) line("updated", one, changesOf(one));
  for (const one of report.unchanged) line("unchanged", one, "");
  for (const one of report.conflicts) line("conflict", one, one.reason);
  for (const one of report.invalid) for (const problem of one.problems) line("invalid", one, problemText(problem));
  for (const one of report.unbound) for (const problem of one.problems) line("unbound", one, problemText(problem));
  for (const one of report.migrated) line("migrated", one, `from definition format ${one.from} to ${one.to}`);
  for (const one of report.kept) line("kept", one, one.reason);
  return lines.join("\n");
}

function nameOf({ scope, name, version }: ImportedDefinition & { version?: number | null }): string {
  const place = scope === "" ? name : `${scope}/${name}`;
  return version === undefined || version === null ? place : `${place} version ${version}`;
}

function changesOf({ versions, activeVersion }: { versions: number[]; activeVersion: number | null }): string {
  const added = versions.length === 0 ? "no versions" : `version(s) ${ranges(versions)}`;
  return `${added}, active: ${activeVersion ?? "none"}`;
}

/** 1, 2, 3, 5 -> "1-3, 5". */
function ranges(numbers: readonly number[]): string {
  const parts: Array<[first: number, last: number]> = [];
  for (const number of numbers) {
    const open = parts.at(-1);
    if (open?.[1] === number - 1) open[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}

function problemText({ code, path, message }: ImportProblem): string {
  return `${code}${path === "" ? "" : ` at ${path}`}: ${message}`;
}
