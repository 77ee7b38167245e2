/**
 * Exporting definitions to a file, on top of the component's module `transfer`.
 *
 * Owns: how pages are put together. Invariant: each definition is in the file as it was at one moment, however many pages
 * it takes.
 */
import type { ComponentApi } from "../component/_generated/component.js";
import { DEFINITIONS_FILE, DEFINITIONS_FILE_VERSION } from "../shared/definitionsFile.js";
import { shardflowError } from "../shared/errors.js";
import { fromJsonText } from "../shared/json.js";
import { MAX_PAGE_SIZE } from "../shared/limits.js";
import type { ReadCtx } from "./context.js";
import type { DefinitionSource } from "./definitionSource.js";
import type { DefinitionsFile, ExportedDefinition } from "./definitionsFile.js";

export type ExportOptions = {
  /** Default: `defaults.scope` of the client. */
  scope?: string | undefined;
  /** Which definitions. Default: all of the scope. */
  names?: readonly string[] | undefined;
};

export async function exportDefinitions(
  ctx: ReadCtx,
  component: ComponentApi,
  { scope = "", names }: ExportOptions,
): Promise<DefinitionsFile> {
  const definitions: ExportedDefinition[] = [];
  for (const name of new Set(names ?? (await namesOf(ctx, component, scope)))) {
    const found = await exportDefinition(ctx, component, scope, name);
    if (found !== null) definitions.push(found);
    else if (names !== undefined) {
      throw shardflowError("DEFINITION_NOT_FOUND", {
        message: `There is no definition "${name}" in scope "${scope}" to export, or it is being deleted.`,
      });
    }
  }
  const exportedAt = Date.now();
  return { format: DEFINITIONS_FILE, formatVersion: DEFINITIONS_FILE_VERSION, exportedAt, definitions };
}

async function namesOf(ctx: ReadCtx, component: ComponentApi, scope: string): Promise<string[]> {
  const names: string[] = [];
  for (let cursor: string | null = null; ;) {
    const result: { page: Array<{ name: string }>; cursor: string | null } = await ctx.runQuery(
      component.definitions.list,
      { scope, cursor, limit: MAX_PAGE_SIZE },
    );
    names.push(...result.page.map(({ name }) => name));
    if (result.cursor === null) return names;
    cursor = result.cursor;
  }
}

/** As it was when its first page was read: versions do not change, and later ones are left out. Null when it is gone. */
async function exportDefinition(
  ctx: ReadCtx,
  component: ComponentApi,
  scope: string,
  name: string,
): Promise<ExportedDefinition | null> {
  const first = await ctx.runQuery(component.transfer.read, { scope, name });
  if (first === null) return null;
  const rows = [...first.versions];
  for (let from = first.next; from !== null && from <= first.latestVersion;) {
    const page = await ctx.runQuery(component.transfer.read, { scope, name, from });
    // Deleted in the meantime, and perhaps made anew: what is there now is another definition.
    if (page?.definitionId !== first.definitionId) return await exportDefinition(ctx, component, scope, name);
    rows.push(...page.versions.filter(({ version }) => version <= first.latestVersion));
    from = page.next;
  }
  const { activeVersion, draft } = first;
  return {
    scope,
    name,
    activeVersion,
    ...(draft === undefined ? {} : { draft: { source: draft } }),
    versions: rows.map(({ source, ...head }) => ({
      ...head,
      definition: fromJsonText(source, `Version ${head.version} of "${name}"`) as unknown as DefinitionSource,
    })),
  };
}
