/**
 * The component's installation: MAX_SHARDS workflow instances, each with state of its own.
 *
 * The number is fixed at push time (a definition cannot read options or env); how many of them take new executions is
 * `config.activeShards`. Instances that are not active cost a namespace, nothing else.
 */
import workflow from "@convex-dev/workflow/convex.config";
import { defineComponent } from "convex/server";
import { v } from "convex/values";
import { MAX_SHARDS } from "../shared/limits.js";

const component = defineComponent("shardflow", {
  env: {
    /** Model providers: keys and, where wanted, other base URLs. Never part of a definition. */
    OPENAI_API_KEY: v.optional(v.string()),
    OPENAI_BASE_URL: v.optional(v.string()),
    ANTHROPIC_API_KEY: v.optional(v.string()),
    ANTHROPIC_BASE_URL: v.optional(v.string()),
    /** JSON: name -> {baseUrl, apiKey?, headers?} of further OpenAI-compatible providers. */
    SHARDFLOW_PROVIDERS: v.optional(v.string()),
    /** JSON: name -> {value, hosts} of the secrets that definitions may name. */
    SHARDFLOW_SECRETS: v.optional(v.string()),
  },
});

for (let shard = 0; shard < MAX_SHARDS; shard++) component.use(workflow, { name: `shard${shard}` });

export default component;
