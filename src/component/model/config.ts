/** Reads the settings; the defaults live in limits.ts and nowhere else. */
import {
  DEFAULT_ACTIVE_SHARDS,
  DEFAULT_MAX_PARALLELISM,
  DEFAULT_RETENTION_MS,
  DEFAULT_STRETCH_BUDGET_MS,
} from "../../shared/limits.js";
import type { QueryCtx } from "../_generated/server.js";

export type Settings = {
  activeShards: number;
  maxParallelism: number;
  stretchBudgetMs: number;
  /** 0 keeps ended executions for ever. */
  retentionMs: number;
};

export async function loadSettings(ctx: QueryCtx): Promise<Settings> {
  // One row at most, written by admin.configure only: reading it conflicts with a change of settings, nothing else.
  const row = await ctx.db.query("config").first();
  return {
    activeShards: row?.activeShards ?? DEFAULT_ACTIVE_SHARDS,
    maxParallelism: row?.maxParallelism ?? DEFAULT_MAX_PARALLELISM,
    stretchBudgetMs: row?.stretchBudgetMs ?? DEFAULT_STRETCH_BUDGET_MS,
    retentionMs: row?.retentionMs ?? DEFAULT_RETENTION_MS,
  };
}
