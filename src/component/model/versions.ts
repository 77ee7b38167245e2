/** Texts of versions, in chunks. */
import { splitChunks } from "../../engine/values.js";
import { PAYLOAD_CHUNK_BYTES } from "../../shared/limits.js";
import type { Id } from "../_generated/dataModel.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";

export type TextKind = "source" | "plan";

export async function loadVersionText(ctx: QueryCtx, versionId: Id<"versions">, kind: TextKind): Promise<string> {
  let text = "";
  for await (const row of chunksOf(ctx, versionId, kind)) text += row.text;
  return text;
}

export async function replaceVersionText(
  ctx: MutationCtx,
  versionId: Id<"versions">,
  kind: TextKind,
  text: string,
): Promise<void> {
  await deleteVersionText(ctx, versionId, kind);
  for (const [chunk, part] of splitChunks(text, PAYLOAD_CHUNK_BYTES).entries()) {
    await ctx.db.insert("versionTexts", { versionId, kind, chunk, text: part });
  }
}

export async function deleteVersionText(ctx: MutationCtx, versionId: Id<"versions">, kind: TextKind): Promise<void> {
  // A definition is at most 256 KB and a plan a few times that: a handful of chunks.
  const rows = await chunksOf(ctx, versionId, kind).take(100);
  for (const row of rows) await ctx.db.delete("versionTexts", row._id);
}

function chunksOf(ctx: Pick<QueryCtx, "db">, versionId: Id<"versions">, kind: TextKind) {
  return ctx.db
    .query("versionTexts")
    .withIndex("by_version_kind_chunk", (q) => q.eq("versionId", versionId).eq("kind", kind));
}
