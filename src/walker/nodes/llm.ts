/** The llm node: renders the messages, calls the model, hands back text or validated JSON. At least once. */
import type { LlmNode } from "../../engine/plan.js";
import { isJsonObject, type Json } from "../../shared/json.js";
import { nodeError, type NodeError } from "../../shared/nodeError.js";
import type { ModelMessage, ModelRequest } from "../ports.js";
import type { NodeContext } from "./context.js";
import { fail, type NodeOutcome } from "./outcome.js";

export async function runLlm(node: LlmNode, ctx: NodeContext): Promise<NodeOutcome> {
  const model = ctx.evaluator.render(node.model, ctx.scope);
  if (typeof model !== "string") {
    return fail(nodeError("MODEL_UNKNOWN", `The model of "${node.id}" is not a text of the form "provider:name".`));
  }
  const messages = renderMessages(node, ctx);
  if (typeof messages === "string") return fail(nodeError("MODEL_REQUEST_INVALID", messages));
  const host = ctx.ports.modelHost(model);
  const request: ModelRequest = {
    model,
    messages: host === null ? messages : (ctx.secrets.resolve(messages, host) as ModelMessage[]),
    schema: node.schema,
    repairAttempts: node.repairAttempts,
    maxOutputTokens: node.maxOutputTokens,
    temperature: node.temperature,
  };
  const result = await ctx.ports.callModel(request, ctx.signal);
  if (result.ok)
    return { kind: "exit", port: "success", output: ctx.secrets.scrubJson(result.output), usage: result.usage };
  return { kind: "fail", error: scrubError(result.error, ctx), usage: result.usage };
}

/** A provider can echo what it was sent, secrets among it. */
function scrubError(error: NodeError, { secrets }: NodeContext): NodeError {
  const scrubbed: NodeError = { ...error, message: secrets.scrub(error.message) };
  if (error.cause === undefined) return scrubbed;
  const { code, message, data } = error.cause;
  scrubbed.cause = { message: secrets.scrub(message) };
  if (code !== undefined) scrubbed.cause.code = secrets.scrub(code);
  const cleanData = data === undefined ? null : secrets.scrubJson(data);
  if (isJsonObject(cleanData)) scrubbed.cause.data = cleanData;
  return scrubbed;
}

function renderMessages(node: LlmNode, ctx: NodeContext): ModelMessage[] | string {
  const messages: ModelMessage[] = [];
  if (node.system !== null)
    messages.push({ role: "system", content: asText(ctx.evaluator.render(node.system, ctx.scope)) });
  if (node.prompt !== null)
    messages.push({ role: "user", content: asText(ctx.evaluator.render(node.prompt, ctx.scope)) });
  if (node.messages === null) return messages;
  const list = ctx.evaluator.render(node.messages, ctx.scope);
  if (!Array.isArray(list)) return `The messages of "${node.id}" are not a list.`;
  for (const [i, message] of list.entries()) {
    if (!isJsonObject(message)) return `Message ${i} of "${node.id}" is not an object with role and content.`;
    const { role, content } = message;
    if (role !== "system" && role !== "user" && role !== "assistant") {
      return `Message ${i} of "${node.id}" has the role ${JSON.stringify(role ?? null)}; use "system", "user" or "assistant".`;
    }
    messages.push({ role, content: asText(content ?? "") });
  }
  return messages.length > 0 ? messages : `"${node.id}" has no messages.`;
}

const asText = (value: Json) => (typeof value === "string" ? value : JSON.stringify(value));
