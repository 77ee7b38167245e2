/** Retention runs by itself, off the full hour. */
import { cronJobs } from "convex/server";
import { internal } from "./_generated/api.js";

const crons = cronJobs();
crons.hourly("shardflow retention", { minuteUTC: 17 }, internal.cleanup.sweep, {});

export default crons;
