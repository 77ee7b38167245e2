/**
 * A definition format that never was: format 0 had a list of steps, where now there are nodes by id.
 * `{"format": 0, "title": "echo", "steps": [{"id", "then", ...node}]}`; a step goes on to `then`, or to the next step.
 */
import type { Migration } from "../../src/engine/definition/migrations.js";
import { isJsonObject, type JsonObject } from "../../src/shared/json.js";

export const STEPS_TO_NODES: Migration = {
  from: 0,
  describe: "`title` became `name`, `steps` became `nodes`",
  migrate: ({ title, steps, ...rest }) => {
    if (!Array.isArray(steps)) throw new Error("`steps` is not a list.");
    const nodes: JsonObject = {};
    steps.filter(isJsonObject).forEach(({ id, then, ...node }, i) => {
      const following = steps[i + 1];
      const target = then ?? (isJsonObject(following) ? following.id : undefined);
      nodes[typeof id === "string" ? id : `step${i}`] = {
        ...node,
        ...(target === undefined ? {} : { next: { success: target } }),
      };
    });
    return { ...rest, name: title ?? null, nodes };
  },
};

/** Gives the input back, with a note that tells which definition it was. */
export const oldEcho = (name: string, note = "first"): JsonObject => ({
  format: 0,
  title: name,
  steps: [
    { id: "start", type: "trigger" },
    { id: "end", type: "output", value: { got: "{{ input }}", note } },
  ],
});

/** What becomes of it. */
export const newEcho = (name: string, note = "first"): JsonObject => ({
  format: 1,
  name,
  nodes: {
    start: { type: "trigger", next: { success: "end" } },
    end: { type: "output", value: { got: "{{ input }}", note } },
  },
});
