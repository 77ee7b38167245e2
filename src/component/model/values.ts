/**
 * Large values in `payloads`, small ones inline.
 * Invariant: a value is written once, under a name that is unique in its execution, in the transaction that refers to it.
 */
import { checkValueSize, splitChunks } from "../../engine/values.js";
import { shardflowError } from "../../shared/errors.js";
import { utf8Bytes } from "../../shared/json.js";
import { INLINE_VALUE_BYTES, MAX_VALUE_BYTES, PAYLOAD_CHUNK_BYTES } from "../../shared/limits.js";
import type { ValueRef } from "../../shared/values.js";
import type { Id } from "../_generated/dataModel.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";

export async function storeValue(
  ctx: MutationCtx,
  executionId: Id<"executions">,
  name: string,
  text: string,
  inlineBytes = INLINE_VALUE_BYTES,
): Promise<ValueRef> {
  const bytes = utf8Bytes(text);
  if (bytes <= inlineBytes) return { kind: "inline", json: text };
  checkValueSize(text, name, MAX_VALUE_BYTES);
  const chunks = splitChunks(text, PAYLOAD_CHUNK_BYTES);
  for (const [chunk, part] of chunks.entries()) {
    await ctx.db.insert("payloads", { executionId, name, chunk, text: part });
  }
  return { kind: "stored", name, bytes, chunks: chunks.length };
}

export async function loadValue(ctx: QueryCtx, executionId: Id<"executions">, ref: ValueRef): Promise<string> {
  if (ref.kind === "inline") return ref.json;
  const rows = await ctx.db
    .query("payloads")
    .withIndex("by_execution_name_chunk", (q) => q.eq("executionId", executionId).eq("name", ref.name))
    .take(ref.chunks);
  if (rows.length !== ref.chunks) {
    throw shardflowError("CORRUPT_ROW", {
      message: `The value "${ref.name}" has ${rows.length} of ${ref.chunks} chunks.`,
      executionId,
    });
  }
  return rows.map((row) => row.text).join("");
}

/** Replaces a value that changes over time (variables, position): the chunks of the old one are deleted. */
export async function replaceValue(
  ctx: MutationCtx,
  executionId: Id<"executions">,
  old: ValueRef,
  name: string,
  text: string,
  inlineBytes = INLINE_VALUE_BYTES,
): Promise<ValueRef> {
  if (old.kind === "stored") {
    const rows = await ctx.db
      .query("payloads")
      .withIndex("by_execution_name_chunk", (q) => q.eq("executionId", executionId).eq("name", old.name))
      .take(old.chunks);
    for (const row of rows) await ctx.db.delete("payloads", row._id);
  }
  return await storeValue(ctx, executionId, name, text, inlineBytes);
}
