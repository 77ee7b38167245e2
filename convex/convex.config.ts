/** The app: installs the component and hands it the variables that it may read. A component sees no others. */
import { defineApp } from "convex/server";
import { v } from "convex/values";
import shardflow from "convex-shardflow/convex.config";

const app = defineApp({
  env: {
    /** Set with `npx convex env set OPENAI_API_KEY ...`; each provider needs its key only when a definition names it. */
    OPENAI_API_KEY: v.optional(v.string()),
    /** For a proxy that speaks the same protocol. Definitions cannot change it. */
    OPENAI_BASE_URL: v.optional(v.string()),
    ANTHROPIC_API_KEY: v.optional(v.string()),
    ANTHROPIC_BASE_URL: v.optional(v.string()),
    SHARDFLOW_PROVIDERS: v.optional(v.string()),
    SHARDFLOW_SECRETS: v.optional(v.string()),
  },
});

app.use(shardflow, {
  env: {
    OPENAI_API_KEY: app.env.OPENAI_API_KEY,
    OPENAI_BASE_URL: app.env.OPENAI_BASE_URL,
    ANTHROPIC_API_KEY: app.env.ANTHROPIC_API_KEY,
    ANTHROPIC_BASE_URL: app.env.ANTHROPIC_BASE_URL,
    SHARDFLOW_PROVIDERS: app.env.SHARDFLOW_PROVIDERS,
    SHARDFLOW_SECRETS: app.env.SHARDFLOW_SECRETS,
  },
});

export default app;
