/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type * as admin from "../admin.js";
import type * as bindings from "../bindings.js";
import type * as cancellations from "../cancellations.js";
import type * as checkpoint from "../checkpoint.js";
import type * as cleanup from "../cleanup.js";
import type * as crons from "../crons.js";
import type * as definitions from "../definitions.js";
import type * as executions from "../executions.js";
import type * as health from "../health.js";
import type * as history from "../history.js";
import type * as host from "../host.js";
import type * as kick from "../kick.js";
import type * as load from "../load.js";
import type * as model_callbacks from "../model/callbacks.js";
import type * as model_canceling from "../model/canceling.js";
import type * as model_cleaning from "../model/cleaning.js";
import type * as model_config from "../model/config.js";
import type * as model_describing from "../model/describing.js";
import type * as model_ending from "../model/ending.js";
import type * as model_ids from "../model/ids.js";
import type * as model_overdue from "../model/overdue.js";
import type * as model_paging from "../model/paging.js";
import type * as model_progress from "../model/progress.js";
import type * as model_publishing from "../model/publishing.js";
import type * as model_queue from "../model/queue.js";
import type * as model_shards from "../model/shards.js";
import type * as model_starting from "../model/starting.js";
import type * as model_values from "../model/values.js";
import type * as model_versions from "../model/versions.js";
import type * as outbox from "../outbox.js";
import type * as plans from "../plans.js";
import type * as pump from "../pump.js";
import type * as queue from "../queue.js";
import type * as revive from "../revive.js";
import type * as settle from "../settle.js";
import type * as stretch from "../stretch.js";
import type * as transfer from "../transfer.js";
import type * as wake from "../wake.js";
import type * as watch from "../watch.js";

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import { anyApi, componentsGeneric } from "convex/server";

const fullApi: ApiFromModules<{
  admin: typeof admin;
  bindings: typeof bindings;
  cancellations: typeof cancellations;
  checkpoint: typeof checkpoint;
  cleanup: typeof cleanup;
  crons: typeof crons;
  definitions: typeof definitions;
  executions: typeof executions;
  health: typeof health;
  history: typeof history;
  host: typeof host;
  kick: typeof kick;
  load: typeof load;
  "model/callbacks": typeof model_callbacks;
  "model/canceling": typeof model_canceling;
  "model/cleaning": typeof model_cleaning;
  "model/config": typeof model_config;
  "model/describing": typeof model_describing;
  "model/ending": typeof model_ending;
  "model/ids": typeof model_ids;
  "model/overdue": typeof model_overdue;
  "model/paging": typeof model_paging;
  "model/progress": typeof model_progress;
  "model/publishing": typeof model_publishing;
  "model/queue": typeof model_queue;
  "model/shards": typeof model_shards;
  "model/starting": typeof model_starting;
  "model/values": typeof model_values;
  "model/versions": typeof model_versions;
  outbox: typeof outbox;
  plans: typeof plans;
  pump: typeof pump;
  queue: typeof queue;
  revive: typeof revive;
  settle: typeof settle;
  stretch: typeof stretch;
  transfer: typeof transfer;
  wake: typeof wake;
  watch: typeof watch;
}> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's public API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
export const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's internal API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = internal.myModule.myFunction;
 * ```
 */
export const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
> = anyApi as any;

export const components = componentsGeneric() as unknown as {
  shard0: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard0">;
  shard1: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard1">;
  shard2: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard2">;
  shard3: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard3">;
  shard4: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard4">;
  shard5: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard5">;
  shard6: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard6">;
  shard7: import("@convex-dev/workflow/_generated/component.js").ComponentApi<"shard7">;
};
