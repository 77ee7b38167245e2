import { beforeAll, expect, test } from "vitest";
import { preload } from "../support/harness.js";
import { rowsOf, runFlow, startApp, TEAM, useModel, type ModelAnswer, type Prompt } from "./support.js";

beforeAll(preload);

/** Writes "one", "two", ... in turn and gives each draft its score. */
function writer(scores: number[]) {
  let drafts = 0;
  return ({ instructions }: Prompt): ModelAnswer =>
    instructions.startsWith("You write")
      ? { text: ["one", "two", "three", "four", "five"][drafts++] ?? "" }
      : { json: { score: scores[drafts - 1], advice: `more of ${drafts}` } };
}

test("the draft and the advice are handed on until the score is reached, and the article is saved once", async () => {
  const asked = useModel(writer([40, 70, 90]));
  const { t, user } = await startApp();
  const state = await runFlow(user, "draft-and-rewrite", { topic: "Owls", goal: 70 });

  expect(state).toMatchObject({ status: "succeeded", output: { published: true, text: "two", scores: [40, 70] } });
  const prompts = asked.filter(({ schema }) => schema === null).map(({ prompt }) => prompt);
  expect(prompts).toEqual([
    "Topic: Owls\nWrite the first draft.",
    "Topic: Owls\nDraft: one\nAdvice: more of 1\nRewrite it.",
  ]);
  expect(await rowsOf(t, "articles")).toMatchObject([
    { team: TEAM, executionId: state.executionId, topic: "Owls", text: "two", score: 70 },
  ]);
});

test("after four rounds it gives up, and nothing is saved", async () => {
  useModel(writer([10, 20, 30, 40, 100]));
  const { t, user } = await startApp();
  const state = await runFlow(user, "draft-and-rewrite", { topic: "Owls", goal: 90 });

  expect(state.output).toEqual({ published: false, text: "four", scores: [10, 20, 30, 40] });
  expect(await rowsOf(t, "articles")).toEqual([]);
});

test("a judgement that does not match the schema is sent back to the model", async () => {
  let judged = 0;
  const asked = useModel(({ instructions }) =>
    instructions.startsWith("You write")
      ? { text: "one" }
      : { json: { score: judged++ === 0 ? "good" : 80, advice: "" } },
  );
  const { user } = await startApp();
  const state = await runFlow(user, "draft-and-rewrite", { topic: "Owls", goal: 50 });

  expect(state.output).toMatchObject({ published: true, scores: [80] });
  expect(asked).toHaveLength(3);
});
