/** The package's entry for apps: exports only. */

// Running executions.
export { Shardflow } from "./shardflow.js";
export type {
  CancelOptions,
  Defaults,
  ListArgs,
  OnCompleteFunction,
  OnConflict,
  PageArgs,
  ShardflowOptions,
  StartArgs,
  StartBatchArgs,
  StartItem,
} from "./shardflow.js";
export type { ReadCtx, WriteCtx } from "./context.js";
export type { ActionBinding, ActionBindings, SyncResult } from "./bindings.js";

// What comes back.
export { parseDescription, parseNodeRun, parseOnComplete, parseStatus, vExecutionId } from "./values.js";
export type {
  Completion,
  ExecutionDescription,
  ExecutionId,
  ExecutionResult,
  ExecutionState,
  Failure,
  NodeRun,
  Page,
} from "./values.js";
export { vOnCompleteArgs } from "../shared/views.js";
export type {
  ConfigView,
  ExecutionSummary,
  Health,
  HealthProblem,
  OnCompleteArgs,
  ValueName,
} from "../shared/views.js";
export { vExecutionStatus } from "../shared/status.js";
export type { ExecutionStatus, NodeRunStatus } from "../shared/status.js";
export type { Json, JsonObject } from "../shared/json.js";

// Definitions.
export type * from "./definitionSource.js";
export type {
  Definitions,
  DefinitionDetails,
  DefinitionInput,
  DefinitionProblem,
  DefinitionSummary,
  DefinitionTarget,
} from "./definitions.js";

// Definitions as files.
export { readDefinitionsFile } from "./definitionsFile.js";
export type { DefinitionsFile, ExportedDefinition, ExportedVersion } from "./definitionsFile.js";
export type { ExportOptions } from "./exportDefinitions.js";
export type { ImportCtx, ImportOptions } from "./importDefinitions.js";
export { formatImportReport } from "./importReport.js";
export type { ImportedDefinition, ImportProblem, ImportReport } from "./importReport.js";

// Operating.
export type { Admin, FailedCallback, Settings, ShardCounts } from "./admin.js";

// Offering executions to the app's own clients.
export { exposeApi } from "./exposeApi.js";
export type { ExposedApi, ExposedName, ExposeOptions } from "./exposeApi.js";
export type { Authorize, AuthorizeRequest } from "./authorization.js";

// Errors.
export { ERROR_CODES, isShardflowError, shardflowErrorData } from "../shared/errors.js";
export type { ErrorClass, ErrorCode, ShardflowErrorData } from "../shared/errors.js";
export type { ConnectionChange, DefinitionDiff, NodeChange, ValueChange } from "../shared/definitionDiff.js";
