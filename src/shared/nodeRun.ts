/**
 * What a node run is made of: the same fields on the way to the database, at rest and in views. Values differ between
 * the three (text, reference, text that may be cut), so they are added where they are used.
 */
import { v, type Infer } from "convex/values";
import { vNodeRunStatus } from "./status.js";
import { vNodeError, vUsage } from "./values.js";

export const runFields = {
  /** Node and loop passes, such as `rewrite[2]/draft`. */
  key: v.string(),
  node: v.string(),
  type: v.string(),
  status: vNodeRunStatus,
  port: v.optional(v.string()),
  attempt: v.number(),
  error: v.optional(vNodeError),
  usage: v.optional(vUsage),
  startedAt: v.number(),
  endedAt: v.number(),
};

/** Why a pass failed although its last node did not: what is evaluated at its end did. */
export const vPassError = v.object({ code: v.string(), message: v.string() });
export type PassError = Infer<typeof vPassError>;

/** Set when the run ended a pass: the loop's run key, the pass, and why it failed when the run did not. */
export const passEndFields = {
  endsLoop: v.optional(v.string()),
  passIndex: v.optional(v.number()),
  passError: v.optional(vPassError),
};
