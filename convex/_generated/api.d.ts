/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type * as draftAndRewrite from "../draftAndRewrite.js";
import type * as enrichList from "../enrichList.js";
import type * as setup from "../setup.js";
import type * as shardflow from "../shardflow.js";
import type * as stress_actions from "../stress/actions.js";
import type * as stress_setup from "../stress/setup.js";
import type * as team from "../team.js";
import type * as ticketTriage from "../ticketTriage.js";
import type * as transfer from "../transfer.js";

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";

declare const fullApi: ApiFromModules<{
  draftAndRewrite: typeof draftAndRewrite;
  enrichList: typeof enrichList;
  setup: typeof setup;
  shardflow: typeof shardflow;
  "stress/actions": typeof stress_actions;
  "stress/setup": typeof stress_setup;
  team: typeof team;
  ticketTriage: typeof ticketTriage;
  transfer: typeof transfer;
}>;

/**
 * A utility for referencing Convex functions in your app's public API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;

/**
 * A utility for referencing Convex functions in your app's internal API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = internal.myModule.myFunction;
 * ```
 */
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;

export declare const components: {
  shardflow: import("convex-shardflow/_generated/component.js").ComponentApi<"shardflow">;
};
