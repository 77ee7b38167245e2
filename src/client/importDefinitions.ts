/**
 * Importing a file of definitions, on top of the component's module `transfer`.
 *
 * Owns: the order of the steps, and what is decided for a definition as a whole. Invariants: a definition with a
 * conflict or a problem is left as it is; every step that writes can be taken again, so that an import which stopped in
 * the middle and is run again ends as if it had not stopped; the check of a dry run is the check of a real one.
 */
import type { GenericActionCtx, GenericDataModel, GenericMutationCtx } from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import { shardflowError } from "../shared/errors.js";
import { toJsonText, utf8Bytes } from "../shared/json.js";
import { MAX_DEFINITION_BYTES } from "../shared/limits.js";
import { defined } from "./context.js";
import type { DefinitionsFile, ExportedDefinition, ExportedVersion } from "./definitionsFile.js";
import { emptyReport, summarized, type ImportProblem, type ImportReport } from "./importReport.js";

/** The `ctx` of an action, where every version is a transaction of its own, or of a mutation, where all are one. */
export type ImportCtx =
  | Pick<GenericActionCtx<GenericDataModel>, "runQuery" | "runMutation">
  | Pick<GenericMutationCtx<GenericDataModel>, "runQuery" | "runMutation">;

export type ImportOptions = {
  /** Puts all definitions into this scope. Default: each into the one that the file names. */
  scope?: string | undefined;
  /**
   * What happens to a definition of which a version exists here with another content. `skip` leaves it as it is;
   * `append` publishes the active version of the file as its next version. Default `skip`.
   */
  onConflict?: "skip" | "append" | undefined;
  /** Also takes an active version that names actions or model providers which are not known here. Default false. */
  allowUnbound?: boolean | undefined;
  /** Writes nothing and returns the same report. Default false. */
  dryRun?: boolean | undefined;
};

export async function importDefinitions(
  ctx: ImportCtx,
  component: ComponentApi,
  entries: readonly ExportedDefinition[],
  options: ImportOptions & { actions: readonly string[] },
): Promise<ImportReport> {
  const report = emptyReport(options.dryRun === true, entries.length);
  for (const entry of entries) await new Importer(ctx, component, entry, options, report).run();
  return summarized(report);
}

/** The definitions of a file in the scope that they go to. */
export function inScope({ definitions }: DefinitionsFile, scope: string | undefined): ExportedDefinition[] {
  if (scope === undefined) return definitions;
  const names = new Set<string>();
  for (const { name } of definitions) {
    if (names.has(name)) {
      const message = `The file has "${name}" in several scopes, which cannot all be imported into the scope "${scope}".`;
      throw shardflowError("IMPORT_INVALID", { message, problems: [{ path: "definitions", message }] });
    }
    names.add(name);
  }
  return definitions.map((entry) => ({ ...entry, scope }));
}

type Checked = {
  entry: ExportedVersion;
  source: string;
  state: "new" | "same" | "different";
  problems: ImportProblem[];
  unbound: ImportProblem[];
  migrated: { from: number; to: number } | null;
};

type Existing = {
  activeVersion: number | null;
  latestVersion: number;
  deleting: boolean;
  draft: { source: string } | null;
};

/** Imports one definition. */
class Importer {
  readonly #ctx: ImportCtx;
  readonly #component: ComponentApi;
  readonly #entry: ExportedDefinition;
  readonly #options: ImportOptions & { actions: readonly string[] };
  readonly #report: ImportReport;
  readonly #target: { scope: string; name: string };

  constructor(
    ctx: ImportCtx,
    component: ComponentApi,
    entry: ExportedDefinition,
    options: ImportOptions & { actions: readonly string[] },
    report: ImportReport,
  ) {
    this.#ctx = ctx;
    this.#component = component;
    this.#entry = entry;
    this.#options = options;
    this.#report = report;
    this.#target = { scope: entry.scope, name: entry.name };
  }

  async run(): Promise<void> {
    const existing: Existing | null = await this.#ctx.runQuery(this.#component.definitions.get, this.#target);
    if (existing?.deleting === true) {
      return this.#conflict(null, "It is being deleted here. Import it again when it is gone.");
    }
    const checked: Checked[] = [];
    for (const version of this.#entry.versions.toSorted((a, b) => a.version - b.version)) {
      checked.push(await this.#check(version, version.version));
    }
    const conflicts = checked.filter(({ state }) => state === "different");
    if (existing !== null && conflicts.length > 0) return await this.#resolve(existing, checked, conflicts);
    const added = checked.filter(({ state }) => state === "new");
    if (!this.#refuse(added)) await this.#merge(existing, checked, added);
  }

  async #check(entry: ExportedVersion, number: number): Promise<Checked> {
    const source = toJsonText(entry.definition, `Version ${entry.version} of "${this.#entry.name}"`);
    const bytes = utf8Bytes(source);
    if (bytes > MAX_DEFINITION_BYTES) {
      // More than a definition can have may be more than a function can be given.
      const message = `The definition has ${bytes} bytes; a definition has at most ${MAX_DEFINITION_BYTES}.`;
      const problems = [{ code: "TOO_LARGE", path: "", message }];
      return { entry, source, state: "new", problems, unbound: [], migrated: null };
    }
    const args = { ...this.#target, version: number, source, actions: [...this.#options.actions] };
    return { entry, source, ...(await this.#ctx.runQuery(this.#component.transfer.checkVersion, args)) };
  }

  /** Reports what stands against importing these versions; whether there is anything. */
  #refuse(versions: readonly Checked[]): boolean {
    const { allowUnbound = false } = this.#options;
    let refused = false;
    for (const { entry, problems, unbound } of versions) {
      const { version } = entry;
      // An older version is history: nobody is refused their history for an action that was removed since.
      const strict = version === this.#entry.activeVersion && !allowUnbound;
      const all = strict ? [...problems, ...unbound] : problems;
      if (all.length === 0) continue;
      refused = true;
      this.#report.invalid.push({ ...this.#target, version, problems: all.map(problemOf) });
    }
    return refused;
  }

  /** Adds the versions that are not there, and the draft. */
  async #merge(existing: Existing | null, checked: readonly Checked[], added: readonly Checked[]): Promise<void> {
    const activate = this.#toActivate(existing, checked, added.length);
    for (const [i, version] of added.entries()) {
      const isLast = i === added.length - 1;
      if (!(await this.#add(version, isLast ? activate : undefined))) return;
    }
    if (added.length === 0 && activate !== undefined) {
      const active = checked.find(({ entry }) => entry.version === activate.version);
      if (active !== undefined && !(await this.#add(active, activate))) return;
    }
    const isDraftNew = await this.#addDraft(existing);
    const activeVersion = activate?.version ?? existing?.activeVersion ?? null;
    const change = { ...this.#target, versions: added.map(({ entry }) => entry.version), activeVersion };
    if (existing === null) this.#report.created.push(change);
    else if (added.length > 0 || activate !== undefined || isDraftNew) this.#report.updated.push(change);
    else this.#report.unchanged.push(this.#target);
    for (const version of added) this.#tell(version, version.entry.version);
  }

  /**
   * The file's active version, when it is to become the active one here: when something is added, or nothing is active
   * yet. A deployment that is ahead of the file, or was rolled back, keeps its own.
   */
  #toActivate(existing: Existing | null, checked: readonly Checked[], added: number) {
    const { activeVersion } = this.#entry;
    const newestInFile = checked.at(-1)?.entry.version ?? 0;
    const newest = Math.max(newestInFile, existing?.latestVersion ?? 0);
    if (activeVersion === null || activeVersion === existing?.activeVersion) return undefined;
    if (existing === null || existing.activeVersion === null) return { version: activeVersion, newest };
    const isAhead = existing.latestVersion > newestInFile;
    if (added > 0 && !isAhead) return { version: activeVersion, newest };
    const why = isAhead ? `there are versions up to ${existing.latestVersion} here` : "the file has nothing new";
    this.#keep(`Version ${existing.activeVersion} stays active, not ${activeVersion} as in the file: ${why}.`);
    return undefined;
  }

  /** False when somebody has published that number since it was checked. */
  async #add(version: Checked, activate: { version: number; newest: number } | undefined): Promise<boolean> {
    if (this.#options.dryRun === true) return true;
    const { entry, source } = version;
    const { state, activated } = await this.#ctx.runMutation(this.#component.transfer.importVersion, {
      ...this.#target,
      ...defined({ note: entry.note, activate }),
      version: entry.version,
      source,
      publishedAt: entry.publishedAt ?? Date.now(),
      allowUnbound: entry.version !== this.#entry.activeVersion || this.#options.allowUnbound === true,
    });
    const isOvertaken = state === "different" || (activate !== undefined && !activated);
    if (isOvertaken) this.#conflict(entry.version, "Somebody published versions here while the import ran.");
    return !isOvertaken;
  }

  async #addDraft(existing: Existing | null): Promise<boolean> {
    const { draft } = this.#entry;
    if (draft === undefined) return false;
    if (existing !== null && existing.draft !== null) {
      if (existing.draft.source !== draft.source)
        this.#keep("The draft stays as it is here; that of the file is another one.");
      return false;
    }
    if (this.#options.dryRun === true) return true;
    const args = { ...this.#target, source: draft.source, expectedRevision: 0 };
    await this.#ctx.runMutation(this.#component.definitions.saveDraft, args);
    return true;
  }

  async #resolve(existing: Existing, checked: readonly Checked[], conflicts: readonly Checked[]): Promise<void> {
    const active = checked.find(({ entry }) => entry.version === this.#entry.activeVersion);
    if (this.#options.onConflict !== "append" || active === undefined) {
      for (const { entry } of conflicts)
        this.#conflict(entry.version, "There is such a version here, and it is another.");
      return;
    }
    const { activeVersion } = existing;
    const isActive = activeVersion !== null && (await this.#check(active.entry, activeVersion)).state === "same";
    if (!isActive && this.#refuse([active])) return;
    const numbers = conflicts.map(({ entry }) => entry.version).join(", ");
    const version = isActive ? activeVersion : await this.#append(active, existing.latestVersion + 1);
    this.#keep(`Version(s) ${numbers} here are others than in the file, whose active version is ${version} here.`);
    if (isActive) {
      this.#report.unchanged.push(this.#target);
      return;
    }
    this.#report.updated.push({ ...this.#target, versions: [version], activeVersion: version });
    this.#tell(active, version);
  }

  async #append({ entry, source }: Checked, expected: number): Promise<number> {
    if (this.#options.dryRun === true) return expected;
    const { version } = await this.#ctx.runMutation(this.#component.transfer.appendVersion, {
      ...this.#target,
      ...defined({ note: entry.note, allowUnbound: this.#options.allowUnbound }),
      source,
    });
    return version;
  }

  /** What there is to know about a version that was imported. */
  #tell({ unbound, migrated }: Checked, version: number): void {
    if (unbound.length > 0) this.#report.unbound.push({ ...this.#target, version, problems: unbound.map(problemOf) });
    if (migrated !== null) this.#report.migrated.push({ ...this.#target, version, ...migrated });
  }

  #conflict(version: number | null, reason: string): void {
    this.#report.conflicts.push({ ...this.#target, version, reason });
  }

  #keep(reason: string): void {
    this.#report.kept.push({ ...this.#target, reason });
  }
}

function problemOf({ code, path, message }: ImportProblem): ImportProblem {
  return { code, path, message };
}
