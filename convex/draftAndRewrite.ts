/**
 * Flow 3: writes a text and rewrites it until it is good enough.
 *
 * What it shows: a loop without a list, that repeats until a condition holds or `maxIterations` is reached; `carry`,
 * which hands the draft and the advice from pass to pass; a model that judges what another wrote; and a condition on how
 * the loop ended.
 *
 *   start -> rewrite { write -> judge } -> isGood -> save -> published
 *                                                 \-> givenUp
 */
import type { DefinitionSource } from "convex-shardflow";
import { v } from "convex/values";
import { internalMutation } from "./_generated/server.js";

export const draftAndRewrite = {
  name: "draft-and-rewrite",
  description: "Writes a short article and rewrites it until it scores well enough, four times at most.",
  input: {
    type: "object",
    required: ["topic", "goal"],
    properties: {
      topic: { type: "string", minLength: 1 },
      goal: { type: "integer", minimum: 0, maximum: 100 },
    },
  },
  nodes: {
    start: { type: "trigger", next: { success: "rewrite" } },
    rewrite: {
      type: "loop",
      until: "nodes.judge.output.score >= input.goal",
      maxIterations: 4,
      carry: {
        draft: { initial: "", next: "{{ nodes.write.output }}" },
        advice: { initial: "", next: "{{ nodes.judge.output.advice }}" },
      },
      collect: "{{ nodes.judge.output.score }}",
      body: "write",
      next: { break: "isGood", done: "isGood" },
    },
    write: {
      type: "llm",
      model: "openai:gpt-5-mini",
      system: "You write short articles. Answer with the article only.",
      prompt:
        'Topic: {{ input.topic }}\n{{ loop.index == 0 ? "Write the first draft." : "Draft: " + loop.carry.draft + "\\nAdvice: " + loop.carry.advice + "\\nRewrite it." }}',
      temperature: 0.7,
      next: { success: "judge" },
    },
    judge: {
      type: "llm",
      model: "openai:gpt-5",
      system: "You judge short articles. Score from 0 to 100, and say what to improve.",
      prompt: "Topic: {{ input.topic }}\nArticle: {{ nodes.write.output }}",
      schema: {
        type: "object",
        additionalProperties: false,
        required: ["score", "advice"],
        properties: { score: { type: "integer", minimum: 0, maximum: 100 }, advice: { type: "string" } },
      },
    },
    isGood: {
      type: "condition",
      if: 'nodes.rewrite.output.exit == "break"',
      next: { true: "save", false: "givenUp" },
    },
    save: {
      type: "action",
      action: "articles.save",
      args: {
        team: "{{ execution.scope }}",
        executionId: "{{ execution.id }}",
        topic: "{{ input.topic }}",
        text: "{{ nodes.rewrite.output.carry.draft }}",
        scores: "{{ nodes.rewrite.output.results }}",
      },
      next: { success: "published" },
    },
    published: {
      type: "output",
      value: {
        published: true,
        text: "{{ nodes.rewrite.output.carry.draft }}",
        scores: "{{ nodes.rewrite.output.results }}",
      },
    },
    givenUp: {
      type: "output",
      value: {
        published: false,
        text: "{{ nodes.rewrite.output.carry.draft }}",
        scores: "{{ nodes.rewrite.output.results }}",
      },
    },
  },
} satisfies DefinitionSource;

/** Action `articles.save`, a mutation: runs exactly once, so there is one article for each execution that succeeded. */
export const saveArticle = internalMutation({
  args: {
    team: v.string(),
    executionId: v.string(),
    topic: v.string(),
    text: v.string(),
    /** Of every round, in order; the last one is that of the text. */
    scores: v.array(v.number()),
  },
  returns: v.id("articles"),
  handler: async (ctx, { scores, ...article }) =>
    await ctx.db.insert("articles", { ...article, score: scores.at(-1) ?? 0 }),
});
