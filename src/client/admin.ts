/** Operations for whoever runs the deployment. They concern all scopes, so they are never offered to clients. */
import type { ComponentApi } from "../component/_generated/component.js";
import type { ConfigView, Health } from "../shared/views.js";
import { defined, type ReadCtx, type WriteCtx } from "./context.js";

/** What is left out stays as it is. */
export type Settings = {
  /** Shards that take new executions, 1 to 8. Default 4; use 2 on the smallest deployment class. */
  activeShards?: number | undefined;
  /** Stretches that one shard runs at once, 1 to 100. Default 25. */
  maxParallelism?: number | undefined;
  /** A stretch starts no node after this long, 1 s to 5 min. Default 4 min. */
  stretchBudgetMs?: number | undefined;
  /** Ended executions are deleted after this long; 0 keeps them for ever. Default 30 days. */
  retentionMs?: number | undefined;
};

/** Load of one shard. A count that equals `countedTo` means "at least". */
export type ShardCounts = {
  shardIndex: number;
  /** Whether it takes new executions. */
  active: boolean;
  /** Stretches that are to be run, and that are running. */
  queued: number;
  claimed: number;
  /** Executions by status. */
  pending: number;
  running: number;
  waiting: number;
};

export type FailedCallback = { executionId: string; attempt: number; lastError?: string };

export class Admin {
  readonly #component: ComponentApi;

  constructor(component: ComponentApi) {
    this.#component = component;
  }

  /**
   * Whether the installation works: queues that move, callbacks that came through, an environment that can be read. For
   * a smoke test after a deploy, and for monitoring.
   *
   * Guarantee: one snapshot of all shards. What it says of queues is at least two minutes old; most of it mends itself.
   *
   * @returns `ok`, and every problem with what to do.
   * @throws Nothing.
   * @example
   * ```ts
   * const { ok, problems } = await shardflow.admin.health(ctx);
   * if (!ok) console.warn(problems.map((problem) => `${problem.code}: ${problem.message}`));
   * ```
   */
  async health(ctx: ReadCtx): Promise<Health> {
    return await ctx.runQuery(this.#component.health.check, {});
  }

  /**
   * Changes settings.
   *
   * Guarantee: takes effect when the transaction commits. Shards count for new executions only; running ones stay.
   *
   * @param settings - What is left out stays.
   * @returns All settings, and the limits that are fixed.
   * @throws {CONFIG_INVALID} when a value is out of range; nothing changes then.
   * @example
   * ```ts
   * await shardflow.admin.configure(ctx, { activeShards: 8, maxParallelism: 50 });
   * ```
   */
  async configure(ctx: WriteCtx, settings: Settings): Promise<ConfigView> {
    return await ctx.runMutation(this.#component.admin.configure, defined(settings));
  }

  /**
   * All settings with their defaults filled in, and the limits that are fixed.
   *
   * Guarantee: one snapshot, that of the calling query or mutation.
   *
   * @returns The settings in effect.
   * @throws Nothing.
   * @example
   * ```ts
   * const { activeShards, maxShards } = await shardflow.admin.getConfig(ctx);
   * ```
   */
  async getConfig(ctx: ReadCtx): Promise<ConfigView> {
    return await ctx.runQuery(this.#component.admin.getConfig, {});
  }

  /**
   * Tasks and executions of every shard.
   *
   * Guarantee: one snapshot of all shards.
   * Cost: reads up to `countedTo` rows per count. For people and dashboards, not for hot paths.
   *
   * @returns The counts, and where counting stops.
   * @throws Nothing.
   * @example
   * ```ts
   * const { shards } = await shardflow.admin.countsPerShard(ctx);
   * const waiting = shards.map((shard) => shard.queued);
   * ```
   */
  async countsPerShard(ctx: ReadCtx): Promise<{ shards: ShardCounts[]; countedTo: number }> {
    return await ctx.runQuery(this.#component.admin.countsPerShard, {});
  }

  /**
   * The onComplete callbacks that failed for good, oldest first; at most 200.
   *
   * Guarantee: a callback that is listed has had no effect; all of its tries were undone.
   *
   * @returns The executions they belong to, with the last error.
   * @throws Nothing.
   * @example
   * ```ts
   * for (const { executionId } of await shardflow.admin.listFailedCallbacks(ctx)) {
   *   await shardflow.admin.retryCallback(ctx, executionId);
   * }
   * ```
   */
  async listFailedCallbacks(ctx: ReadCtx): Promise<FailedCallback[]> {
    return await ctx.runQuery(this.#component.admin.listFailedCallbacks, {});
  }

  /**
   * Tries the failed callback of an execution again, with a fresh count of attempts.
   *
   * Guarantee: it still runs exactly once.
   *
   * @param executionId - From {@link listFailedCallbacks}.
   * @returns False when no callback of it has failed.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is no such execution.
   * @example
   * ```ts
   * const retried = await shardflow.admin.retryCallback(ctx, executionId);
   * ```
   */
  async retryCallback(ctx: WriteCtx, executionId: string): Promise<boolean> {
    return await ctx.runMutation(this.#component.admin.retryCallback, { executionId });
  }
}
