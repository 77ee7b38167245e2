import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileDefinition } from "../../src/engine/definition/compile.js";
import type { Definition } from "../../src/engine/definition/schema.js";
import type { LoopNode, Plan } from "../../src/engine/plan.js";
import {
  endPass,
  enterLoop,
  exitToken,
  initialPosition,
  innermostPass,
  isInLoop,
  isLoopOver,
  leaveLoop,
  loopOf,
  moveToken,
  passesInFlight,
  passKey,
  passLevels,
  removeToken,
  replaceToken,
  runKey,
  splitRunKey,
  startPasses,
  type Position,
  type Token,
} from "../../src/engine/position.js";
import { readPosition, writePosition } from "../../src/engine/storedPosition.js";
import { MAX_TOKENS } from "../../src/shared/limits.js";
import { thrownBy } from "./thrown.js";

/** start -> outer { inner { deep { leaf } } , beside { other } } -> end; the concurrency of each loop is given. */
function planOf(concurrency: { outer: number; inner: number; deep: number; beside: number }): Plan {
  const loop = (body: string, name: keyof typeof concurrency, next: Record<string, string> = {}) => ({
    type: "loop" as const,
    items: "{{ input }}",
    item: `${name}Item`,
    index: `${name}Index`,
    maxIterations: 200,
    concurrency: concurrency[name],
    body,
    next,
  });
  const definition: Definition = {
    name: "nested",
    nodes: {
      start: { type: "trigger", next: { success: "outer" } },
      outer: loop("inner", "outer", { done: "end" }),
      inner: loop("deep", "inner", { done: "beside" }),
      deep: loop("leaf", "deep"),
      leaf: { type: "condition", if: "true" },
      beside: loop("other", "beside"),
      other: { type: "condition", if: "true" },
      end: { type: "output", value: null },
    },
  };
  return compileDefinition(definition);
}

const loopNode = (plan: Plan, id: string): LoopNode => {
  const node = plan.nodes[id];
  if (node?.type !== "loop") throw new Error(`${id} is no loop`);
  return node;
};

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}

const segment = fc
  .tuple(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/), fc.nat({ max: 100_000 }))
  .map(([node, index]) => `${node}[${index}]`);
const passes = fc.array(segment, { maxLength: 8 }).map((segments) => segments.join("/"));

describe("keys", () => {
  it("name a node run by the passes around it", () => {
    expect(runKey("", "draft")).toBe("draft");
    expect(runKey("outer[0]/inner[3]", "draft")).toBe("outer[0]/inner[3]/draft");
    expect(passKey("outer[0]/inner", 3)).toBe("outer[0]/inner[3]");
    expect(passLevels("outer[0]/inner[3]")).toEqual([
      { loopKey: "outer", node: "outer", index: 0, pass: "outer[0]", outer: "" },
      { loopKey: "outer[0]/inner", node: "inner", index: 3, pass: "outer[0]/inner[3]", outer: "outer[0]" },
    ]);
    expect(innermostPass("")).toBeNull();
    expect(innermostPass("outer[0]/inner[3]")?.loopKey).toBe("outer[0]/inner");
  });

  it("tell loops apart whose names begin alike", () => {
    expect(isInLoop("each[0]", "each")).toBe(true);
    expect(isInLoop("each[0]/inner[1]", "each")).toBe(true);
    expect(isInLoop("eachOther[0]", "each")).toBe(false);
    expect(isInLoop("", "each")).toBe(false);
    expect(isInLoop("each[1]/inner[0]", "each[0]/inner")).toBe(false);
  });

  it("round-trip through their parts", () => {
    fc.assert(
      fc.property(passes, fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/), (pass, node) => {
        expect(splitRunKey(runKey(pass, node))).toEqual({ pass, node });
        const levels = passLevels(pass);
        expect(levels.at(-1)?.pass ?? "").toBe(pass);
        for (const [depth, level] of levels.entries()) {
          expect(level.outer).toBe(levels[depth - 1]?.pass ?? "");
          expect(splitRunKey(level.loopKey)).toEqual({ pass: level.outer, node: level.node });
          expect(passKey(level.loopKey, level.index)).toBe(level.pass);
          expect(isInLoop(pass, level.loopKey)).toBe(true);
        }
      }),
      { seed: 7 },
    );
  });

  it.each([
    "each",
    "each[",
    "each[x]",
    "each[-1]",
    "each[0]x",
    "each[0]//x[1]",
    "/each[0]",
    "each[0]/",
    "1a[0]",
    "[0]",
  ])("refuse %j, which is no pass", (pass) => {
    expect(thrownBy(() => passLevels(pass)).code).toBe("CORRUPT_ROW");
  });
});

describe("tokens", () => {
  const plan = planOf({ outer: 1, inner: 1, deep: 1, beside: 1 });

  it("begin on the trigger", () => {
    expect(initialPosition(plan)).toEqual({ tokens: [{ pass: "", node: "start" }], loops: [] });
  });

  it("leave a node through a port, and forget its attempts", () => {
    const tried: Token = { pass: "", node: "start", attempt: 3, failures: [], refusals: 1, notBefore: 5 };
    const position = replaceToken(initialPosition(plan), { pass: "", node: "start" }, tried);
    const exited = exitToken(position, tried, "success");
    expect(exited.tokens).toEqual([{ pass: "", node: "start", exited: "success" }]);
    expect(moveToken(exited, tried, "outer").tokens).toEqual([{ pass: "", node: "outer" }]);
    expect(removeToken(exited, tried)).toEqual({ tokens: [], loops: [] });
  });

  it("are told apart by pass and node", () => {
    const position: Position = {
      tokens: [
        { pass: "outer[0]", node: "inner" },
        { pass: "outer[1]", node: "inner" },
      ],
      loops: [{ key: "outer", total: 2, next: 2, failed: 0, startedAt: 0 }],
    };
    expect(exitToken(position, { pass: "outer[1]", node: "inner" }, "done").tokens).toEqual([
      { pass: "outer[0]", node: "inner" },
      { pass: "outer[1]", node: "inner", exited: "done" },
    ]);
  });
});

describe("loops", () => {
  const enter = (plan: Plan, total: number | null, carry: { [name: string]: number } | null = null) =>
    enterLoop(
      { tokens: [{ pass: "", node: "outer" }], loops: [] },
      { pass: "", node: "outer" },
      loopNode(plan, "outer"),
      {
        total,
        carry,
        startedAt: 42,
      },
    );

  it("start as many passes as their concurrency allows", () => {
    const plan = planOf({ outer: 3, inner: 1, deep: 1, beside: 1 });
    expect(enter(plan, 5)).toEqual({
      tokens: [0, 1, 2].map((index) => ({ pass: `outer[${index}]`, node: "inner" })),
      loops: [{ key: "outer", total: 5, next: 3, failed: 0, startedAt: 42 }],
    });
    expect(enter(plan, 2).tokens).toHaveLength(2);
    expect(enter(plan, null, { sum: 1 }).loops[0]).toMatchObject({ total: null, carry: { sum: 1 } });
  });

  it("of an empty list are over at once", () => {
    const plan = planOf({ outer: 3, inner: 1, deep: 1, beside: 1 });
    const position = enter(plan, 0);
    expect(position.tokens).toEqual([]);
    expect(isLoopOver(position, "outer", loopNode(plan, "outer"))).toBe(true);
    expect(leaveLoop(position, "outer", "done")).toEqual({
      tokens: [{ pass: "", node: "outer", exited: "done" }],
      loops: [],
    });
  });

  it("without a list end at maxIterations", () => {
    const plan = planOf({ outer: 1, inner: 1, deep: 1, beside: 1 });
    const node = { ...loopNode(plan, "outer"), maxIterations: 2 };
    let position = enter(plan, null);
    position = startPasses(
      endPass(position, { pass: "outer[0]", node: "inner" }, "outer", { failed: false }),
      "outer",
      {
        ...node,
      },
    );
    expect(position.tokens).toEqual([{ pass: "outer[1]", node: "inner" }]);
    position = endPass(position, { pass: "outer[1]", node: "inner" }, "outer", { failed: false });
    expect(startPasses(position, "outer", node).tokens).toEqual([]);
    expect(isLoopOver(position, "outer", node)).toBe(true);
  });

  it("keep the first reason to exit, count failures, and take the carried values of the last pass", () => {
    const plan = planOf({ outer: 2, inner: 1, deep: 1, beside: 1 });
    const node = loopNode(plan, "outer");
    let position = enter(plan, 9, { sum: 0 });
    const end = (index: number, how: Parameters<typeof endPass>[3]) => {
      position = startPasses(
        endPass(position, { pass: `outer[${index}]`, node: "inner" }, "outer", how),
        "outer",
        node,
      );
    };
    end(0, { failed: false, carry: { sum: 1 } });
    expect(loopOf(position, "outer")).toMatchObject({ next: 3, failed: 0, carry: { sum: 1 } });
    end(1, { failed: true, exit: "stop" });
    expect(loopOf(position, "outer")).toMatchObject({ next: 3, failed: 1, exit: "stop", carry: { sum: 1 } });
    expect(isLoopOver(position, "outer", node)).toBe(false);
    end(2, { failed: true, exit: "break" });
    expect(loopOf(position, "outer")).toMatchObject({ next: 3, failed: 2, exit: "stop" });
    expect(isLoopOver(position, "outer", node)).toBe(true);
  });

  it("take everything inside along when they are left", () => {
    const position: Position = {
      tokens: [
        { pass: "outer[0]/inner[0]", node: "deep" },
        { pass: "outer[0]/inner[1]/deep[4]", node: "leaf" },
        { pass: "outer[1]/inner[0]/deep[0]", node: "leaf" },
      ],
      loops: ["outer", "outer[0]/inner", "outer[0]/inner[1]/deep", "outer[1]/inner", "outer[1]/inner[0]/deep"].map(
        (key) => ({ key, total: 9, next: 5, failed: 0, startedAt: 0 }),
      ),
    };
    expect(passesInFlight(position, "outer")).toBe(2);
    expect(passesInFlight(position, "outer[0]/inner")).toBe(2);
    const left = leaveLoop(position, "outer[0]/inner", "failure");
    expect(left.tokens).toEqual([
      { pass: "outer[1]/inner[0]/deep[0]", node: "leaf" },
      { pass: "outer[0]", node: "inner", exited: "failure" },
    ]);
    expect(left.loops.map(({ key }) => key)).toEqual(["outer", "outer[1]/inner", "outer[1]/inner[0]/deep"]);
  });

  it("count a pass as in flight while only a loop inside it says so", () => {
    const position: Position = {
      tokens: [],
      loops: ["outer", "outer[3]/inner"].map((key) => ({ key, total: 9, next: 4, failed: 0, startedAt: 0 })),
    };
    expect(passesInFlight(position, "outer")).toBe(1);
  });

  it("that a position does not have are a corrupt row", () => {
    expect(thrownBy(() => loopOf({ tokens: [], loops: [] }, "outer")).code).toBe("CORRUPT_ROW");
  });
});

/** What the walker does with positions, in an order that a list of choices decides. */
class RandomWalk {
  readonly #plan: Plan;
  readonly #choices: readonly number[];
  #at = 0;
  /** Passes started, by loop key. */
  readonly started = new Map<string, number[]>();
  readonly totals = new Map<string, number>();
  position: Position;

  constructor(plan: Plan, choices: readonly number[]) {
    this.#plan = plan;
    this.#choices = choices;
    this.position = deepFreeze(initialPosition(plan));
  }

  pick(count: number): number {
    return (this.#choices[this.#at++ % this.#choices.length] ?? 0) % count;
  }

  /** One step of one token; false when the execution has ended. */
  step(): boolean {
    const token = this.position.tokens[this.pick(Math.max(1, this.position.tokens.length))];
    if (token === undefined) return false;
    this.#take(this.#next(token));
    return true;
  }

  #take(next: Position): void {
    const before = new Set(this.position.tokens.map(({ pass }) => pass));
    for (const { pass, node } of next.tokens) {
      const level = innermostPass(pass);
      if (level === null || before.has(pass) || node !== loopNode(this.#plan, level.node).body) continue;
      const started = this.started.get(level.loopKey) ?? [];
      if (!started.includes(level.index)) this.started.set(level.loopKey, [...started, level.index]);
    }
    this.position = deepFreeze(next);
  }

  #next(token: Token): Position {
    const node = this.#plan.nodes[token.node]!;
    if (token.exited === undefined) {
      if (node.type !== "loop") return exitToken(this.position, token, node.type === "condition" ? "true" : "success");
      const key = runKey(token.pass, token.node);
      const total = this.pick(4);
      this.totals.set(key, total);
      const entered = enterLoop(this.position, token, node, { total, carry: null, startedAt: 0 });
      return total === 0 ? leaveLoop(entered, key, "done") : entered;
    }
    const target = node.next[token.exited];
    if (target !== undefined) return moveToken(this.position, token, target);
    const pass = innermostPass(token.pass);
    if (pass === null) return removeToken(this.position, token);
    const around = loopNode(this.#plan, pass.node);
    const next = startPasses(endPass(this.position, token, pass.loopKey, { failed: false }), pass.loopKey, around);
    return isLoopOver(next, pass.loopKey, around) ? leaveLoop(next, pass.loopKey, "done") : next;
  }
}

/** The invariants that a position breaks. Plain code, since it is asked thousands of times. */
function violations({ tokens, loops }: Position, plan: Plan): string[] {
  const broken: string[] = [];
  const places = tokens.map(({ pass, node }) => runKey(pass, node));
  if (new Set(places).size < places.length) broken.push("P1: two tokens in one place");
  const next = new Map(loops.map((loop) => [loop.key, loop.next]));
  if (next.size < loops.length) broken.push("a loop is there twice");
  for (const { pass, node } of tokens) {
    if ((plan.nodes[node]?.loop ?? null) !== (innermostPass(pass)?.node ?? null)) broken.push(`P1: ${pass}/${node}`);
    for (const level of passLevels(pass)) {
      if (level.index >= (next.get(level.loopKey) ?? 0)) broken.push(`P1: ${pass} was not started`);
    }
  }
  for (const loop of loops) {
    if (!tokens.some(({ pass }) => isInLoop(pass, loop.key))) broken.push(`P2: nothing is in ${loop.key}`);
    if (loop.next > (loop.total ?? Infinity)) broken.push(`${loop.key} started too many passes`);
    const { concurrency } = loopNode(plan, splitRunKey(loop.key).node);
    if (passesInFlight({ tokens, loops }, loop.key) > concurrency) broken.push(`${loop.key} is over its concurrency`);
  }
  if (tokens.length === 0 && loops.length > 0) broken.push("P3: loops without a token");
  if (tokens.length > MAX_TOKENS) broken.push("over MAX_TOKENS");
  return broken;
}

const width = fc.integer({ min: 1, max: 4 });
const widths = fc.record({ outer: width, inner: width, deep: width, beside: width });
const choices = fc.array(fc.nat(), { minLength: 1, maxLength: 60 });

describe("walks over positions", () => {
  it("keep the invariants, change nothing that is passed in, and run every pass once", () => {
    fc.assert(
      fc.property(widths, choices, (concurrency, tape) => {
        const plan = planOf(concurrency);
        const walk = new RandomWalk(plan, tape);
        const broken: string[] = [];
        let steps = 0;
        while (walk.step()) {
          broken.push(...violations(walk.position, plan));
          steps++;
          // Text holds all there is: what is read back goes on in the same way.
          if (steps % 5 === 0) walk.position = deepFreeze(readPosition(writePosition(walk.position), plan));
        }
        expect(broken).toEqual([]);
        expect(walk.position).toEqual({ tokens: [], loops: [] });
        for (const [key, total] of walk.totals) {
          expect([...(walk.started.get(key) ?? [])].sort((a, b) => a - b)).toEqual([...Array(total).keys()]);
        }
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  it("never hold more than MAX_TOKENS places, and still come to an end", () => {
    const plan = planOf({ outer: 64, inner: 64, deep: 64, beside: 64 });
    let position = enterLoop(
      { tokens: [{ pass: "", node: "outer" }], loops: [] },
      { pass: "", node: "outer" },
      loopNode(plan, "outer"),
      { total: 64, carry: null, startedAt: 0 },
    );
    expect(position.tokens).toHaveLength(64);
    let most = 0;
    for (let index = 0; index < 64; index++) {
      const token = { pass: `outer[${index}]`, node: "inner" };
      position = enterLoop(position, token, loopNode(plan, "inner"), { total: 64, carry: null, startedAt: 0 });
      most = Math.max(most, position.tokens.length);
      // Also a loop that finds no room begins.
      expect(passesInFlight(position, `outer[${index}]/inner`)).toBeGreaterThan(0);
    }
    expect(most).toBe(MAX_TOKENS);

    let steps = 0;
    for (let token = position.tokens.at(-1); token !== undefined; token = position.tokens.at(-1)) {
      const pass = innermostPass(token.pass);
      if (pass === null) break;
      const around = loopNode(plan, pass.node);
      const next = startPasses(endPass(position, token, pass.loopKey, { failed: false }), pass.loopKey, around);
      position = isLoopOver(next, pass.loopKey, around) ? leaveLoop(next, pass.loopKey, "done") : next;
      expect(position.tokens.length).toBeLessThanOrEqual(MAX_TOKENS);
      steps++;
    }
    expect(position).toEqual({ tokens: [{ pass: "", node: "outer", exited: "done" }], loops: [] });
    // Each pass of each inner loop, and each pass of the outer one.
    expect(steps).toBe(64 * 64 + 64);
  });
});

describe("stored positions", () => {
  const plan = planOf({ outer: 2, inner: 1, deep: 1, beside: 1 });
  const error = { code: "ACTION_FAILED", class: "app", message: "größer als 😀", retryable: true } as const;
  const full: Position = {
    tokens: [
      {
        pass: "outer[1]",
        node: "inner",
        attempt: 2,
        failures: [{ attempt: 1, kind: "initial", startedAt: 1, endedAt: 2, error }],
        notBefore: 99,
      },
      { pass: "outer[0]", node: "inner", exited: "done" },
    ],
    loops: [{ key: "outer", total: null, next: 2, failed: 1, exit: "stop", carry: { $a: { "": [1] } }, startedAt: 7 }],
  };

  it("read back as they were written", () => {
    expect(readPosition(writePosition(full), plan)).toEqual(full);
    expect(readPosition(writePosition(full), null)).toEqual(full);
    expect(readPosition(writePosition(initialPosition(plan)), plan)).toEqual(initialPosition(plan));
  });

  const token = (fields: object) => ({ tokens: [{ pass: "", node: "start", ...fields }], loops: [] });
  const loop = (fields: object) => ({
    tokens: [{ pass: "outer[0]", node: "inner" }],
    loops: [{ key: "outer", total: 3, next: 1, failed: 0, startedAt: 0, ...fields }],
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", ""],
    ["null", null],
    ["a list", []],
    ["no tokens", { loops: [] }],
    ["no loops", { tokens: [] }],
    ["tokens that are no list", { tokens: {}, loops: [] }],
    ["a token that is null", { tokens: [null], loops: [] }],
    ["a token that is a text", { tokens: ["start"], loops: [] }],
    ["a token without a pass", token({ pass: undefined })],
    ["a token whose pass is a number", token({ pass: 0 })],
    ["a token whose pass cannot be read", token({ pass: "outer" })],
    ["a token without a node", token({ node: undefined })],
    ["a token that left through a number", token({ exited: 1 })],
    ["a token whose attempt is a text", token({ attempt: "2" })],
    ["a token whose time is a text", token({ notBefore: "soon" })],
    ["a token in a loop that was not entered", token({ pass: "outer[0]", node: "inner" })],
    ["a token in a pass that was not started", loop({ next: 0 })],
    ["two tokens in one place", { ...token({}), tokens: [...token({}).tokens, ...token({}).tokens] }],
    ["a loop that is null", { tokens: [], loops: [null] }],
    ["a loop without a key", loop({ key: undefined })],
    ["a loop whose key cannot be read", loop({ key: "a/b/" })],
    ["a loop whose next pass is a text", loop({ next: "1" })],
    ["a loop whose count of saved results is a text", loop({ saved: "1" })],
    ["a loop whose next pass is negative", loop({ next: -1 })],
    ["a loop whose total is a text", loop({ total: "3" })],
    ["a loop whose count of failures is missing", loop({ failed: undefined })],
    ["a loop that exits in an unknown way", loop({ exit: "over" })],
    ["a loop that carries a text", loop({ carry: "sum" })],
    ["a loop that nothing is in", { ...loop({}), tokens: [{ pass: "", node: "start" }] }],
    ["a loop twice", { ...loop({}), loops: [...loop({}).loops, ...loop({}).loops] }],
  ])("with %s are a corrupt row", (_name, stored) => {
    const text = typeof stored === "string" ? stored : JSON.stringify(stored);
    expect(thrownBy(() => readPosition(text, plan)).code).toBe("CORRUPT_ROW");
    expect(thrownBy(() => readPosition(text, null)).code).toBe("CORRUPT_ROW");
  });

  it.each([
    ["a node the plan does not have", token({ node: "gone" })],
    ["a node named like something that every object has", token({ node: "constructor" })],
    ["a node of another loop", { ...loop({}), tokens: [{ pass: "outer[0]", node: "leaf" }] }],
    ["a node of a loop at the top", token({ node: "inner" })],
    [
      "a pass of a node that is no loop",
      {
        tokens: [{ pass: "start[0]", node: "leaf" }],
        loops: [{ key: "start", total: 3, next: 1, failed: 0, startedAt: 0 }],
      },
    ],
  ])("on %s are a corrupt row, once the plan is known", (_name, stored) => {
    expect(thrownBy(() => readPosition(JSON.stringify(stored), plan)).code).toBe("CORRUPT_ROW");
  });

  it("are never read as anything else than a position, whatever is stored", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom("tokens", "loops", "both"), (junk, where) => {
        const stored = { ...full, ...(where === "loops" ? {} : { tokens: [junk] }) };
        const text = JSON.stringify(where === "tokens" ? stored : { ...stored, loops: [junk] });
        expect(thrownBy(() => readPosition(text, plan)).code).toBe("CORRUPT_ROW");
      }),
      { seed: 3 },
    );
  });
});
