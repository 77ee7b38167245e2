/** What runs by itself: retention, off the full hour, and the look for chains that were cut. */
import { cronJobs } from "convex/server";
import { internal } from "./_generated/api.js";

const crons = cronJobs();
crons.hourly("shardflow retention", { minuteUTC: 17 }, internal.cleanup.sweep, {});

crons.interval("shardflow revive", { minutes: 5 }, internal.revive.revive, {});

export default crons;
