/**
 * Public: whether the installation works, for a smoke test after a deploy and for monitoring.
 * Run by hand: `npx convex run --component shardflow health:check '{}'`.
 */
import { parseSecrets } from "../engine/secrets.js";
import { readModelConfig } from "../models/config.js";
import { shardflowErrorData } from "../shared/errors.js";
import { MAX_SHARDS } from "../shared/limits.js";
import { vHealth, type HealthProblem } from "../shared/views.js";
import { env, query, type QueryCtx } from "./_generated/server.js";
import { loadSettings } from "./model/config.js";
import { hasForgottenClaim, hasStuckQueue, overdueWaits } from "./model/overdue.js";

/**
 * Every problem that can be seen from the database and the environment, with what to do. Reads the first rows of four
 * index ranges per shard. What it reports about queues is older than two minutes; most of it mends itself within five.
 */
export const check = query({
  args: {},
  returns: vHealth,
  handler: async (ctx) => {
    const now = Date.now();
    const { activeShards } = await loadSettings(ctx);
    const problems: HealthProblem[] = environmentProblems();
    for (let shardIndex = 0; shardIndex < MAX_SHARDS; shardIndex++) {
      problems.push(...(await shardProblems(ctx, shardIndex, now)));
    }
    const failed = await ctx.db
      .query("outbox")
      .withIndex("by_state", (q) => q.eq("state", "failed"))
      .first();
    if (failed !== null) {
      const message =
        "An onComplete callback has failed for good. See admin:listFailedCallbacks, then admin:retryCallback.";
      problems.push({ code: "CALLBACK_FAILED", shardIndex: null, message });
    }
    return { ok: problems.length === 0, activeShards, problems };
  },
});

/** The variables that every node with a model or a secret will stumble over. */
function environmentProblems(): HealthProblem[] {
  const problems: HealthProblem[] = [];
  for (const read of [() => readModelConfig(env), () => parseSecrets(env.SHARDFLOW_SECRETS)]) {
    try {
      read();
    } catch (error) {
      const data = shardflowErrorData(error);
      if (data === null) throw error;
      problems.push({ code: data.code, shardIndex: null, message: data.message });
    }
  }
  return problems;
}

async function shardProblems(ctx: QueryCtx, shardIndex: number, now: number): Promise<HealthProblem[]> {
  const problems: HealthProblem[] = [];
  const add = (code: HealthProblem["code"], message: string) => problems.push({ code, shardIndex, message });
  if (await hasStuckQueue(ctx, shardIndex, now)) {
    add(
      "QUEUE_STUCK",
      "A stretch has been queued for over two minutes: the shard is full (see admin:countsPerShard) or its pump is gone.",
    );
  }
  if (await hasForgottenClaim(ctx, shardIndex, now)) {
    add("CLAIM_FORGOTTEN", "A stretch was claimed and never heard of again: its watchdog is gone.");
  }
  if ((await overdueWaits(ctx, shardIndex, now, 1)).length > 0) {
    add("WAKE_OVERDUE", "A node's next attempt is overdue by more than two minutes: its wake is gone.");
  }
  return problems;
}
