/**
 * Moving a team's flows between deployments, or into a repository. Internal: for operators, with `npx convex run`.
 *
 * A definition holds keys that Convex values refuse, so files are JSON text. What is too large for a command line goes
 * through file storage; see docs/import-export.md.
 */
import { formatImportReport } from "convex-shardflow";
import { v } from "convex/values";
import { internalAction, internalMutation, type ActionCtx } from "./_generated/server.js";
import { shardflow } from "./shardflow.js";

const importArgs = {
  team: v.string(),
  onConflict: v.optional(v.union(v.literal("skip"), v.literal("append"))),
  /** Writes nothing: shows what would be done. */
  dryRun: v.optional(v.boolean()),
};
type ImportArgs = { team: string; onConflict?: "skip" | "append"; dryRun?: boolean };

/** `report` has one line for each thing to know. */
const importReturns = v.object({ ok: v.boolean(), report: v.array(v.string()) });

/** `npx convex run transfer:exportDefinitions '{"team": "acme"}' | jq -r . > definitions.json` */
export const exportDefinitions = internalAction({
  args: { team: v.string(), names: v.optional(v.array(v.string())) },
  returns: v.string(),
  handler: async (ctx, { team, names }) => {
    return JSON.stringify(await shardflow.definitions.exportAll(ctx, { scope: team, names }), null, 2);
  },
});

/** `npx convex run transfer:importDefinitions "$(jq -n --rawfile file definitions.json '{team: "acme", $file}')"` */
export const importDefinitions = internalAction({
  args: { ...importArgs, file: v.string() },
  returns: importReturns,
  handler: async (ctx, { file, ...args }) => await importText(ctx, file, args),
});

/** As exportDefinitions, into file storage; gives an address to download the file from. */
export const exportToStorage = internalAction({
  args: { team: v.string(), names: v.optional(v.array(v.string())) },
  returns: v.object({ storageId: v.id("_storage"), url: v.union(v.null(), v.string()) }),
  handler: async (ctx, { team, names }) => {
    const file = await shardflow.definitions.exportAll(ctx, { scope: team, names });
    const storageId = await ctx.storage.store(new Blob([JSON.stringify(file)], { type: "application/json" }));
    return { storageId, url: await ctx.storage.getUrl(storageId) };
  },
});

/** Where to upload a file to: `curl -H 'Content-Type: application/json' --data-binary @definitions.json <address>`. */
export const uploadUrl = internalMutation({
  args: {},
  returns: v.string(),
  handler: async (ctx) => await ctx.storage.generateUploadUrl(),
});

/** As importDefinitions, of a file in file storage. */
export const importFromStorage = internalAction({
  args: { ...importArgs, storageId: v.id("_storage") },
  returns: importReturns,
  handler: async (ctx, { storageId, ...args }) => {
    const blob = await ctx.storage.get(storageId);
    if (blob === null) return { ok: false, report: [`There is no file ${storageId} in storage.`] };
    return await importText(ctx, await blob.text(), args);
  },
});

async function importText(ctx: ActionCtx, file: string, { team, onConflict, dryRun }: ImportArgs) {
  const report = await shardflow.definitions.importAll(ctx, file, { scope: team, onConflict, dryRun });
  return { ok: report.ok, report: formatImportReport(report).split("\n") };
}
