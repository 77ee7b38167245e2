/* eslint-disable */
/**
 * Generated `ComponentApi` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type { FunctionReference } from "convex/server";

/**
 * A utility for referencing a Convex component's exposed API.
 *
 * Useful when expecting a parameter like `components.myComponent`.
 * Usage:
 * ```ts
 * async function myFunction(ctx: QueryCtx, component: ComponentApi) {
 *   return ctx.runQuery(component.someFile.someQuery, { ...args });
 * }
 * ```
 */
export type ComponentApi<Name extends string | undefined = string | undefined> =
  {
    admin: {
      configure: FunctionReference<
        "mutation",
        "internal",
        {
          activeShards?: number;
          maxParallelism?: number;
          retentionMs?: number;
          stretchBudgetMs?: number;
        },
        {
          activeShards: number;
          limits: Record<string, number>;
          maxParallelism: number;
          maxShards: number;
          placementVersion: number;
          retentionMs: number;
          stretchBudgetMs: number;
        },
        Name
      >;
      countsPerShard: FunctionReference<
        "query",
        "internal",
        {},
        {
          countedTo: number;
          shards: Array<{
            active: boolean;
            claimed: number;
            pending: number;
            queued: number;
            running: number;
            shardIndex: number;
            waiting: number;
          }>;
        },
        Name
      >;
      getConfig: FunctionReference<
        "query",
        "internal",
        {},
        {
          activeShards: number;
          limits: Record<string, number>;
          maxParallelism: number;
          maxShards: number;
          placementVersion: number;
          retentionMs: number;
          stretchBudgetMs: number;
        },
        Name
      >;
      listFailedCallbacks: FunctionReference<
        "query",
        "internal",
        {},
        Array<{ attempt: number; executionId: string; lastError?: string }>,
        Name
      >;
      retryCallback: FunctionReference<
        "mutation",
        "internal",
        { executionId: string },
        boolean,
        Name
      >;
    };
    bindings: {
      list: FunctionReference<
        "query",
        "internal",
        {},
        Array<{
          handle: string;
          kind: "query" | "mutation" | "action";
          name: string;
        }>,
        Name
      >;
      sync: FunctionReference<
        "mutation",
        "internal",
        {
          bindings: Array<{
            handle: string;
            kind: "query" | "mutation" | "action";
            name: string;
          }>;
          prune?: boolean;
        },
        { added: number; changed: number; removed: number },
        Name
      >;
    };
    cancellations: {
      cancelWorkflow: FunctionReference<
        "mutation",
        "internal",
        { executionId: string; reason?: string; requester?: string },
        null,
        Name
      >;
      isCanceled: FunctionReference<
        "query",
        "internal",
        { executionId: string },
        boolean,
        Name
      >;
    };
    definitions: {
      delete: FunctionReference<
        "mutation",
        "internal",
        { name: string; reason?: string; requester?: string; scope?: string },
        null,
        Name
      >;
      diff: FunctionReference<
        "query",
        "internal",
        { from: number; name: string; scope?: string; to: number },
        string,
        Name
      >;
      export: FunctionReference<
        "query",
        "internal",
        { name: string; scope?: string; version?: number },
        string,
        Name
      >;
      get: FunctionReference<
        "query",
        "internal",
        { name: string; scope?: string; version?: number },
        null | {
          activeVersion: null | number;
          deleting: boolean;
          draft: null | { revision: number; savedAt: number; source: string };
          latestVersion: number;
          name: string;
          scope: string;
          updatedAt: number;
          version: null | {
            note?: string;
            publishedAt: number;
            source: string;
            version: number;
          };
        },
        Name
      >;
      list: FunctionReference<
        "query",
        "internal",
        { cursor?: null | string; limit?: number; scope?: string },
        {
          cursor: null | string;
          page: Array<{
            activeVersion: null | number;
            deleting: boolean;
            latestVersion: number;
            name: string;
            scope: string;
            updatedAt: number;
          }>;
        },
        Name
      >;
      publish: FunctionReference<
        "mutation",
        "internal",
        { name: string; note?: string; scope?: string; source?: string },
        { version: number },
        Name
      >;
      rollback: FunctionReference<
        "mutation",
        "internal",
        { name: string; scope?: string; version: number },
        null,
        Name
      >;
      saveDraft: FunctionReference<
        "mutation",
        "internal",
        {
          expectedRevision?: number;
          name: string;
          scope?: string;
          source: string;
        },
        {
          problems: Array<{
            code: string;
            message: string;
            node: null | string;
            path: string;
            suggestion: null | string;
          }>;
          revision: number;
        },
        Name
      >;
      validate: FunctionReference<
        "query",
        "internal",
        { source: string },
        {
          problems: Array<{
            code: string;
            message: string;
            node: null | string;
            path: string;
            suggestion: null | string;
          }>;
          valid: boolean;
        },
        Name
      >;
    };
    executions: {
      startWorkflow: FunctionReference<
        "mutation",
        "internal",
        {
          context?: string;
          definition: string;
          idempotencyKey?: string;
          idempotencyTtlMs?: number;
          input: string;
          onComplete?: string;
          onConflict?: "return" | "reject" | "replace";
          scope?: string;
          shardKey?: string;
          tags?: Record<string, string>;
          version?: number;
        },
        string,
        Name
      >;
      startWorkflowBatch: FunctionReference<
        "mutation",
        "internal",
        {
          definition: string;
          items: Array<{
            context?: string;
            idempotencyKey?: string;
            idempotencyTtlMs?: number;
            input: string;
            onComplete?: string;
            onConflict?: "return" | "reject" | "replace";
            shardKey?: string;
            tags?: Record<string, string>;
          }>;
          scope?: string;
          version?: number;
        },
        Array<string>,
        Name
      >;
    };
    health: {
      check: FunctionReference<
        "query",
        "internal",
        {},
        {
          activeShards: number;
          ok: boolean;
          problems: Array<{
            code: string;
            message: string;
            shardIndex: null | number;
          }>;
        },
        Name
      >;
    };
    history: {
      cleanupWorkflow: FunctionReference<
        "mutation",
        "internal",
        { executionId: string },
        { done: boolean },
        Name
      >;
      describe: FunctionReference<
        "query",
        "internal",
        { executionId: string },
        {
          callback?: { attempt: number; lastError?: string; state: string };
          canceled?: { at: number; reason?: string; requester?: string };
          context?: string;
          definition: string;
          endedAt?: number;
          error?: {
            cause?: string;
            class: string;
            code: string;
            message: string;
            node?: string;
            retryAfterMs?: number;
            retryable: boolean;
          };
          events: Array<{ at: number; detail: string; type: string }>;
          executionId: string;
          idempotencyKey?: string;
          input?: string;
          lastError?: string;
          leaseEpoch: number;
          loops: Array<{
            failed: number;
            key: string;
            started: number;
            total: null | number;
          }>;
          nodeRuns: number;
          omitted?: Array<{
            bytes: number;
            name: "input" | "context" | "variables" | "output";
          }>;
          output?: string;
          places: Array<{
            attempt: number;
            key: string;
            lastError?: string;
            node: string;
            notBefore?: number;
          }>;
          scope: string;
          shardIndex: number;
          startedAt: number;
          status:
            | "pending"
            | "running"
            | "waiting"
            | "succeeded"
            | "failed"
            | "canceled";
          tags: Record<string, string>;
          task?: {
            claimedAt?: number;
            refusal?: { at: number; code: string; detail: string };
            state: string;
          };
          variables?: string;
          version: number;
          wait?: {
            kind: string;
            node?: string;
            reason: string;
            wakeAt: number;
          };
        },
        Name
      >;
      getNodeOutput: FunctionReference<
        "query",
        "internal",
        { executionId: string; key: string },
        null | string,
        Name
      >;
      getStatus: FunctionReference<
        "query",
        "internal",
        { executionId: string },
        {
          canceled?: { at: number; reason?: string; requester?: string };
          definition: string;
          endedAt?: number;
          error?: {
            cause?: string;
            class: string;
            code: string;
            message: string;
            node?: string;
            retryAfterMs?: number;
            retryable: boolean;
          };
          executionId: string;
          idempotencyKey?: string;
          lastError?: string;
          output?: string;
          scope: string;
          shardIndex: number;
          startedAt: number;
          status:
            | "pending"
            | "running"
            | "waiting"
            | "succeeded"
            | "failed"
            | "canceled";
          version: number;
        },
        Name
      >;
      getSummary: FunctionReference<
        "query",
        "internal",
        { executionId: string },
        null | {
          definition: string;
          endedAt?: number;
          executionId: string;
          idempotencyKey?: string;
          lastError?: string;
          scope: string;
          shardIndex: number;
          startedAt: number;
          status:
            | "pending"
            | "running"
            | "waiting"
            | "succeeded"
            | "failed"
            | "canceled";
          version: number;
        },
        Name
      >;
      getValue: FunctionReference<
        "query",
        "internal",
        {
          executionId: string;
          name: "input" | "context" | "variables" | "output";
        },
        null | string,
        Name
      >;
      list: FunctionReference<
        "query",
        "internal",
        {
          cursor?: null | string;
          definition?: string;
          from?: number;
          limit?: number;
          order?: "asc" | "desc";
          scope?: string;
          status?:
            | "pending"
            | "running"
            | "waiting"
            | "succeeded"
            | "failed"
            | "canceled";
          tag?: { name: string; value: string };
          to?: number;
        },
        {
          cursor: null | string;
          page: Array<{
            definition: string;
            endedAt?: number;
            executionId: string;
            idempotencyKey?: string;
            lastError?: string;
            scope: string;
            shardIndex: number;
            startedAt: number;
            status:
              | "pending"
              | "running"
              | "waiting"
              | "succeeded"
              | "failed"
              | "canceled";
            version: number;
          }>;
        },
        Name
      >;
      listNodeRuns: FunctionReference<
        "query",
        "internal",
        { cursor?: null | string; executionId: string; limit?: number },
        {
          cursor: null | string;
          page: Array<{
            attempt: number;
            endedAt: number;
            error?: {
              cause?: string;
              class: string;
              code: string;
              message: string;
              retryAfterMs?: number;
              retryable: boolean;
            };
            failures: Array<{
              attempt: number;
              endedAt: number;
              error: {
                cause?: string;
                class: string;
                code: string;
                message: string;
                retryAfterMs?: number;
                retryable: boolean;
              };
              kind: "initial" | "retry";
              startedAt: number;
            }>;
            key: string;
            node: string;
            output?: string;
            outputBytes: number;
            port?: string;
            seq: number;
            startedAt: number;
            status:
              | "ready"
              | "running"
              | "backoff"
              | "succeeded"
              | "failed"
              | "canceled";
            type: string;
            usage?: {
              calls: number;
              inputTokens: number;
              latencyMs: number;
              outputTokens: number;
              totalTokens: number;
            };
          }>;
        },
        Name
      >;
    };
    transfer: {
      appendVersion: FunctionReference<
        "mutation",
        "internal",
        {
          allowUnbound?: boolean;
          name: string;
          note?: string;
          scope?: string;
          source: string;
        },
        { appended: boolean; version: number },
        Name
      >;
      checkVersion: FunctionReference<
        "query",
        "internal",
        {
          actions?: Array<string>;
          name: string;
          scope?: string;
          source: string;
          version: number;
        },
        {
          migrated: null | { from: number; to: number };
          problems: Array<{
            code: string;
            message: string;
            node: null | string;
            path: string;
            suggestion: null | string;
          }>;
          state: "new" | "same" | "different";
          unbound: Array<{
            code: string;
            message: string;
            node: null | string;
            path: string;
            suggestion: null | string;
          }>;
        },
        Name
      >;
      importVersion: FunctionReference<
        "mutation",
        "internal",
        {
          activate?: { newest: number; version: number };
          allowUnbound?: boolean;
          name: string;
          note?: string;
          publishedAt: number;
          scope?: string;
          source: string;
          version: number;
        },
        { activated: boolean; state: "new" | "same" | "different" },
        Name
      >;
      read: FunctionReference<
        "query",
        "internal",
        { from?: number; name: string; scope?: string },
        null | {
          activeVersion: null | number;
          definitionId: string;
          draft?: string;
          latestVersion: number;
          next: null | number;
          versions: Array<{
            note?: string;
            publishedAt: number;
            source: string;
            version: number;
          }>;
        },
        Name
      >;
    };
  };
