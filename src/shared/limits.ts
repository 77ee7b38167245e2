/**
 * Every limit of the product, with its reason. Nothing else in the tree holds a magic number that a user can run into.
 * docs/limits.md is generated from this file.
 */

export const KB = 1024;
export const MB = 1024 * 1024;
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// ── Shards ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Workflow instances installed by convex.config.ts. Never lower it while rows live on the higher shards. */
export const MAX_SHARDS = 8;
/** Active shards of a fresh installation. More than the scheduler has slots for makes things worse. */
export const DEFAULT_ACTIVE_SHARDS = 4;
/** Identifies the placement function; stored in the configuration so that a later change can be told apart. */
export const PLACEMENT_VERSION = 1;

// ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Values up to this many bytes stay in their row; larger ones go to `payloads`. */
export const INLINE_VALUE_BYTES = 8 * KB;
/** A position up to this many bytes stays in its row: it is rewritten by every checkpoint anyway. */
export const INLINE_POSITION_BYTES = 64 * KB;
/** One chunk of a large value. A Convex document holds 1 MiB; the rest is room for keys and indexes. */
export const PAYLOAD_CHUNK_BYTES = 900 * KB;
/** Largest input, output, context, item list or set of variables. Four of them fit one 16 MiB transaction. */
export const MAX_VALUE_BYTES = 4 * MB;
/** Characters of the note that a version is published with. */
export const MAX_NOTE_LENGTH = 2_000;
/** Deepest nesting of user JSON. It rests as text, so this only bounds recursion. */
export const MAX_JSON_DEPTH = 100;
/** Largest text of an error message that is stored; longer ones are cut with a note. */
export const MAX_ERROR_MESSAGE_BYTES = 2 * KB;
/** Largest data of an app's error that is stored with it, as JSON; larger data is left out, with a note. */
export const MAX_ERROR_DATA_BYTES = 8 * KB;

// ── Convex values ────────────────────────────────────────────────────────────────────────────────────────────────────
/** Items of one list in the arguments of an app function; Convex refuses more. */
export const MAX_CONVEX_LIST_ITEMS = 8_192;
/** Fields of one object in the arguments of an app function; Convex refuses more. */
export const MAX_CONVEX_OBJECT_FIELDS = 1_024;
/** Characters of one field name in the arguments of an app function; Convex refuses more. */
export const MAX_CONVEX_FIELD_NAME_LENGTH = 1_024;
/** Nesting of the arguments of an app function. Convex allows 64 and wraps the arguments in a list, which counts. */
export const MAX_CONVEX_ARGS_DEPTH = 63;

// ── Definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────
/** Largest definition as JSON text. Source and plan together stay far under the 1 MiB of a document. */
export const MAX_DEFINITION_BYTES = 256 * KB;
/** Largest file of definitions that is imported. It is held and parsed as a whole, in the memory of one action. */
export const MAX_DEFINITIONS_FILE_BYTES = 32 * MB;
/** Sources of one page of an export. With a draft and one more version it is far below what a query may return. */
export const EXPORT_PAGE_BYTES = 4 * MB;
/** Highest number of a version. An import brings numbers of its own, and the next publish counts on from them. */
export const MAX_VERSION_NUMBER = 1_000_000_000;
/** Nodes of one definition. More belong in several definitions; the plan is parsed by every stretch. */
export const MAX_NODES = 500;
/** Loops inside loops. Each level multiplies the passes; deeper nesting belongs in a subflow. */
export const MAX_LOOP_DEPTH = 8;
/** Longest name of a definition or action. Names are fields of indexes. */
export const MAX_NAME_LENGTH = 200;
/** Longest id of a node. Ids are repeated in every node run and in the passes of loops. */
export const MAX_NODE_ID_LENGTH = 64;
/** Cases of one switch. They are tried in order, one expression each. */
export const MAX_SWITCH_CASES = 100;
/** Variables that one set node sets. */
export const MAX_SET_VALUES = 100;

// ── Expressions ──────────────────────────────────────────────────────────────────────────────────────────────────────
/** Longest expression. Parsing is linear in it and happens in every stretch that reaches it. */
export const MAX_EXPRESSION_LENGTH = 4 * KB;
/** Nesting of one expression. Bounds the recursion of parser and evaluator. */
export const MAX_EXPRESSION_DEPTH = 64;
/** Parts of one parsed expression. */
export const MAX_EXPRESSION_AST_NODES = 2_000;
/** Steps that one evaluation may take; each element a macro visits counts. */
export const MAX_EXPRESSION_STEPS = 200_000;
/** Characters that one evaluation may build, so that `s + s` in a nest of macros cannot grow without end. */
export const MAX_EXPRESSION_OUTPUT_CHARS = 1 * MB;
/** Items of one list or map literal. */
export const MAX_EXPRESSION_LITERAL_ITEMS = 1_000;
/** Steps that all expressions of one template may take together. */
export const MAX_TEMPLATE_STEPS = 2_000_000;
/** Longest regular expression in an expression. */
export const MAX_REGEX_LENGTH = 256;
/** States of the automaton that a regular expression is compiled to; `(a{100}){100}` is short but has 10 000. */
export const MAX_REGEX_STATES = 1_000;

// ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Time for one attempt of a node whose definition names none. */
export const DEFAULT_NODE_TIMEOUT_MS = 60 * SECOND;
/** Time for one attempt of an llm node whose definition names none; long answers take minutes. */
export const DEFAULT_LLM_TIMEOUT_MS = 2 * MINUTE;
/** A stretch (4 min) and one such node fit a 10 minute action. */
export const MAX_NODE_TIMEOUT_MS = 5 * MINUTE;
/** Attempts that a retry policy may name. With doubling delays the last ones are days apart anyway. */
export const MAX_ATTEMPTS = 20;
/** Longest delay before a retry. A Retry-After beyond it ends the retries instead. */
export const MAX_RETRY_DELAY_MS = 1 * DAY;
/** Attempts of an llm node whose definition names no policy. Providers refuse and time out as a matter of course. */
export const DEFAULT_LLM_ATTEMPTS = 4;
/** Longest delay before the second attempt; each further one may be {@link DEFAULT_RETRY_FACTOR} times as long. */
export const DEFAULT_RETRY_INITIAL_MS = 1 * SECOND;
/** Growth of the longest delay from attempt to attempt. */
export const DEFAULT_RETRY_FACTOR = 2;
/** The delay grows no further than this; a Retry-After can be longer. */
export const DEFAULT_RETRY_MAX_MS = 60 * SECOND;
/** Delay after the first refusal for lack of room. Convex has already waited 10 s for a place then. */
export const BACKPRESSURE_INITIAL_MS = 1 * SECOND;
/** Refusals double the delay up to this, so that freed room is found soon. */
export const BACKPRESSURE_MAX_MS = 30 * SECOND;
/** Backoff up to this long is slept inside the stretch; a longer one releases it and waits in the database. */
export const IN_PROCESS_BACKOFF_MS = 5 * SECOND;
/** Passes of a loop whose definition names no maximum. */
export const DEFAULT_MAX_ITERATIONS = 1_000;
/** Passes that a loop may name as its maximum. */
export const MAX_ITERATIONS = 100_000;
/** Values a loop hands from pass to pass. They are part of the position, which every checkpoint writes. */
export const MAX_CARRY_BYTES = 64 * KB;
/** Passes of one loop in flight. Each takes an action place while it runs. */
export const MAX_LOOP_CONCURRENCY = 64;
/** Places an execution can be at once (loop passes in flight). Bounds the position row. */
export const MAX_TOKENS = 128;
/** Times a model is asked again for an answer that matches the schema. Each one is paid for. */
export const MAX_LLM_REPAIR_ATTEMPTS = 5;
/** Largest answer read from a model provider: a value of the largest size, with its JSON escapes. */
export const MAX_MODEL_RESPONSE_BYTES = 8 * MB;
/** Node runs of one execution, over all loops. A guard against runaway definitions. */
export const MAX_NODE_RUNS = 1_000_000;

// ── Secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Shorter secrets cannot be told from ordinary text when results are scrubbed. */
export const MIN_SECRET_LENGTH = 8;
/** Longest name of a secret; it stands in every scrubbed text. */
export const MAX_SECRET_NAME_LENGTH = 64;

// ── Executions ───────────────────────────────────────────────────────────────────────────────────────────────────────
/** Executions of one startWorkflowBatch call. They share one transaction. */
export const MAX_BATCH_STARTS = 100;
/** Tags of one execution. Each is a row. */
export const MAX_TAGS = 10;
/** Longest tag. Tags are fields of an index. */
export const MAX_TAG_LENGTH = 100;
/** Longest idempotency key, shard key or scope. Keys are fields of indexes. */
export const MAX_KEY_LENGTH = 256;
/** How long an idempotency key is remembered unless the start says otherwise. */
export const DEFAULT_IDEMPOTENCY_TTL_MS = 1 * DAY;
/** Longest time that an idempotency key can be remembered. Bounds the table of keys. */
export const MAX_IDEMPOTENCY_TTL_MS = 30 * DAY;
/** How long an ended execution is kept unless configured otherwise. */
export const DEFAULT_RETENTION_MS = 30 * DAY;
/** Rows of one page. Keeps a page of full rows under the 16 MiB that a transaction may read. */
export const MAX_PAGE_SIZE = 200;
/** Rows of a page when the caller names no size. */
export const DEFAULT_PAGE_SIZE = 50;

// ── Host ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** A stretch starts no new node after this long; the rest of the action is left for the node in flight. */
export const DEFAULT_STRETCH_BUDGET_MS = 4 * MINUTE;
/** Convex's documentation gives actions 10 minutes on one page and 30 on another; plan for 10, minus a margin. */
export const ACTION_LIMIT_MS = 9.5 * MINUTE;
/** Stretches that one shard runs at once (workpool parallelism of the shard's workflow instance). */
export const DEFAULT_MAX_PARALLELISM = 25;
/** Stretches per shard that can be configured: the largest parallelism of one workpool. */
export const MAX_PARALLELISM = 100;
/** Node runs of one checkpoint. */
export const MAX_RUNS_PER_CHECKPOINT = 100;
/** Bytes of one checkpoint's arguments; the rest waits for the next one. */
export const MAX_CHECKPOINT_BYTES = 1 * MB;
/** An owner gives a sign of life at least this often; a checkpoint is one. */
export const RENEW_INTERVAL_MS = 1 * MINUTE;
/** Three missed signs of life, and an owner is taken for dead. */
export const LEASE_MS = 3 * RENEW_INTERVAL_MS;
/** A claimed stretch may have to wait in the workpool, so one that never began is given longer than an action lives. */
export const START_LEASE_MS = 15 * MINUTE;
/** How often the watchdog of a busy shard looks. */
export const WATCH_INTERVAL_MS = 1 * MINUTE;
/** Stretches in a row that may die before any checkpoint; then the execution fails. */
export const MAX_CRASHES = 5;
/** A stretch that was overtaken or canceled notices within seconds; only later is its workflow removed by force. */
export const REAP_DELAY_MS = 1 * MINUTE;
/** Tries to run an onComplete callback that throws, over about an hour and a half; then it is stored as failed. */
export const MAX_CALLBACK_ATTEMPTS = 8;
/** Rows that one transaction of a cleanup deletes; the rest follows by itself. */
export const CLEANUP_BATCH_ROWS = 300;
