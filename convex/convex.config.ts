import { defineApp } from "convex/server";
import shardflow from "convex-shardflow/convex.config";

const app = defineApp();
app.use(shardflow);

export default app;
