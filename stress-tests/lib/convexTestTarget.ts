/**
 * A target in this process: the app, the component and its shards on convex-test, in virtual time.
 *
 * It runs the real code and none of the load: a function takes no time and transactions never meet, so what takes time is
 * what the product waits for. See README.md for what this can show.
 */
import { parseNodeRun, parseStatus, type NodeRun } from "convex-shardflow";
import { api, internal } from "../../convex/_generated/api.js";
import { startDeployment } from "../../demo/deployment.js";
import type { OpenTarget, Target } from "./target.js";
import { inVirtualTime } from "./virtualTime.js";

/** Every run signs in as a user of this team, and sees what such a user sees. */
const TEAM = "stress";
const PAGE = 200;

export const convexTestTarget: OpenTarget = {
  name: "convex-test",
  run: async (seed, work) => {
    // Loading modules takes real time, so it comes first.
    const t = await startDeployment();
    return await inVirtualTime(seed, async (clock) => {
      const user = t.withIdentity({ subject: "stress tests", team: TEAM });
      const target: Target = {
        prepare: async ({ definition, ...settings }) => {
          await t.mutation(internal.stress.setup.prepare, {
            team: TEAM,
            definition: JSON.stringify(definition),
            ...settings,
          });
        },
        start: ({ input, ...request }) =>
          user.mutation(api.shardflow.startWorkflow, { ...request, input: JSON.stringify(input) }),
        statusOf: async (executionId) => parseStatus(await user.query(api.shardflow.getStatus, { executionId })),
        listNodeRuns: async (executionId) => {
          const nodeRuns: NodeRun[] = [];
          for (let cursor: string | null | undefined; cursor !== null;) {
            const result: { page: Array<Parameters<typeof parseNodeRun>[0]>; cursor: string | null } = await user.query(
              api.shardflow.listNodeRuns,
              { executionId, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) },
            );
            nodeRuns.push(...result.page.map(parseNodeRun));
            cursor = result.cursor;
          }
          return nodeRuns;
        },
        now: () => clock.now,
        wait: (ms) => clock.sleep(ms),
      };
      return await work(target);
    });
  },
};
