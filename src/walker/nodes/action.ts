/**
 * The action node: calls a function of the app by its bound name.
 *
 * Guarantees: a query is called at least once and has no effect; an action is called at least once, with a stable
 * `node.idempotencyKey`; a mutation runs exactly once, in the transaction that records it.
 */
import type { ActionNode } from "../../engine/plan.js";
import { checkConvexValue, fromConvexResult } from "../../engine/values.js";
import { shardflowErrorData } from "../../shared/errors.js";
import { fromJsonText, isJsonObject, utf8Bytes, type Json } from "../../shared/json.js";
import { MAX_ERROR_DATA_BYTES } from "../../shared/limits.js";
import { nodeError, truncateText, type NodeError } from "../../shared/nodeError.js";
import { isTransient } from "../flusher.js";
import type { NodeContext } from "./context.js";
import { exit, fail, type NodeOutcome } from "./outcome.js";

/** Secrets in arguments stay inside the deployment; a secret allows that by naming this host. */
export const APP_HOST = "app";

export async function runAction(node: ActionNode, ctx: NodeContext): Promise<NodeOutcome> {
  const rendered = ctx.evaluator.render(node.args, ctx.scope);
  const refused = checkConvexValue(rendered);
  if (refused !== null || !isJsonObject(rendered)) {
    return fail(
      nodeError(
        "VALUE_NOT_CONVEX",
        `The arguments of "${node.action}" cannot be passed to a Convex function: ${refused ?? "they are not an object"}.`,
      ),
    );
  }
  const binding = ctx.binding(node.action);
  if (binding === null) return { kind: "refused", error: unbound(node.action) };
  const args = ctx.secrets.resolve(rendered, APP_HOST);
  try {
    if (binding.kind === "mutation") {
      // Secrets are resolved again inside the transaction, which also scrubs its result before recording it.
      const output = await ctx.commit(binding.handle, rendered);
      return { kind: "committed", port: "success", output: fromJsonText(output, `the result of ${node.action}`) };
    }
    const result = await ctx.ports.callFunction(binding.kind, binding.handle, args);
    const text = ctx.secrets.scrub(fromConvexResult(result, `The result of "${node.action}"`));
    return exit("success", fromJsonText(text, `the result of ${node.action}`));
  } catch (thrown) {
    return classify(node.action, binding.kind, thrown, ctx);
  }
}

const unbound = (action: string) =>
  nodeError(
    "ACTION_UNBOUND",
    `No function is bound to action "${action}". Deploy it and run sync; the node waits until then.`,
  );

/** What Convex says, and convex-test, when a handle leads nowhere, or to a function of another kind. */
const NOT_THERE =
  /^(FunctionHandleNotFound|Function handle not found|Could not find (public )?function |Expected a Convex function exported from .* but there is no such export)/s;
const OTHER_KIND =
  /^(Trying to execute .* as \w+, but it is defined as \w+|Expected an? \w+ function, but the function exported from .* is not an? \w+)/s;

function classify(action: string, kind: string, thrown: unknown, ctx: NodeContext): NodeOutcome {
  const message = ctx.secrets.scrub(messageOf(thrown));
  // Convex's own refusals carry no data and begin with these words; an app's error may say such things within.
  if (convexErrorData(thrown) === undefined) {
    if (NOT_THERE.test(message)) return { kind: "refused", error: unbound(action) };
    if (OTHER_KIND.test(message)) {
      return fail(nodeError("ACTION_KIND_MISMATCH", `"${action}" is bound as a ${kind}, but is not one: ${message}`));
    }
    // A transaction that Convex could not commit has done nothing; what an action had done before is not known.
    if (/TooManyConcurrentRequests/.test(message) || (kind === "mutation" && isTransient(thrown))) {
      return { kind: "refused", error: nodeError("ACTION_REFUSED", `Convex had no room to run "${action}".`) };
    }
  }
  const own = shardflowErrorData(thrown);
  if (own !== null && (own.code === "VALUE_NOT_JSON" || own.code === "VALUE_TOO_LARGE")) {
    return fail(nodeError(own.code, ctx.secrets.scrub(own.message)));
  }
  return fail(actionFailed(action, message, thrown, ctx));
}

/** The message of an error with data is the data as text: that much of it tells which error it is. */
const SHOWN_MESSAGE_CHARS = 200;

/** What the app threw. A ConvexError with `retryable: false` in its data is not tried again. */
function actionFailed(action: string, message: string, thrown: unknown, ctx: NodeContext): NodeError {
  const data = convexErrorData(thrown);
  const cause: NonNullable<NodeError["cause"]> = { message };
  const extra: Parameters<typeof nodeError>[2] = { cause };
  if (isJsonObject(data)) {
    const bytes = utf8Bytes(JSON.stringify(data));
    const scrubbed = bytes > MAX_ERROR_DATA_BYTES ? null : ctx.secrets.scrubJson(data);
    if (isJsonObject(scrubbed)) cause.data = scrubbed;
    else cause.message = `${truncateText(message, SHOWN_MESSAGE_CHARS)} (its data of ${bytes} bytes is not kept)`;
    if (typeof data.code === "string") cause.code = truncateText(ctx.secrets.scrub(data.code), SHOWN_MESSAGE_CHARS);
    if (data.retryable === false) extra.retryable = false;
    if (typeof data.retryAfterMs === "number" && data.retryAfterMs >= 0) extra.retryAfterMs = data.retryAfterMs;
  }
  const said = isJsonObject(data) && typeof data.message === "string" ? ctx.secrets.scrub(data.message) : message;
  return nodeError("ACTION_FAILED", `"${action}" threw: ${said}`, extra);
}

function convexErrorData(thrown: unknown): Json | undefined {
  if (typeof thrown !== "object" || thrown === null || !("data" in thrown)) return undefined;
  const data = thrown.data;
  try {
    return typeof data === "string" && data.startsWith("{")
      ? (JSON.parse(data) as Json)
      : (JSON.parse(JSON.stringify(data)) as Json);
  } catch {
    return undefined;
  }
}

/** The message without the frames and the prefix that Convex adds when an error crosses a call. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const line = text.split(/\n\s+at /)[0] ?? text;
  return line.replace(/^(Uncaught )?(ConvexError|Error): /, "").trim();
}
