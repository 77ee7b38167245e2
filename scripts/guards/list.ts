/**
 * The guards: the few lines that keep a late, repeated or foreign writer out, each with the test that fails without it.
 *
 * Owns: the list and its printed form. Invariant: `find` stands exactly once in `file` and `test` is the full name of a
 * test; test/component/faults/guards.test.ts checks both, scripts/guards.ts checks that the test fails.
 */
export type Guard = {
  /** What is guarded, in a few words. */
  name: string;
  /** What would happen without it. */
  without: string;
  file: string;
  /** The exact text that is the guard, and what stands in its place when it is removed. */
  find: string;
  put: string;
  /** A file below test/component/faults, and the full name of the test in it that fails. */
  test: [file: string, name: string];
};

const FENCE = "src/engine/fence.ts";
const CHECKPOINT = "src/component/checkpoint.ts";
const SHARDS = "src/component/model/shards.ts";

export const GUARDS: readonly Guard[] = [
  {
    name: "status: a canceled execution is not written",
    without: "a stretch goes on after a cancel",
    file: FENCE,
    find: '  if (state.canceled) return "canceled";\n',
    put: "",
    test: ["cancel", "canceled before every call has been made"],
  },
  {
    name: "status: an ended execution is not written",
    without: "a checkpoint reopens what has ended",
    file: FENCE,
    find: "state.ended || ",
    put: "",
    test: ["fences", "a checkpoint after the end is stale, whatever its sequence number"],
  },
  {
    name: "leaseEpoch: only the newest owner writes",
    without: "a stretch that was taken over from records its nodes again",
    file: FENCE,
    find: "state.ended || state.leaseEpoch !== claim.leaseEpoch",
    put: "state.ended",
    test: ["zombies", "woken while its successor is in flight, and has not written yet"],
  },
  {
    name: "seq: numbers apply once and in order",
    without: "a second write of the same owner is taken for the next",
    file: FENCE,
    find: 'return claim.seq === state.lastSeq + 1 ? "apply" : "conflict";',
    put: 'return "apply";',
    test: ["fences", "a checkpoint with a sequence number that is taken, or leaves a gap, is a conflict"],
  },
  {
    name: "seq: a repeated flush is answered",
    without: "a checkpoint whose reply was lost stops its stretch",
    file: FENCE,
    find: `  if (state.leaseEpoch === claim.leaseEpoch && state.lastSeq === claim.seq && state.lastFlushId === claim.flushId)
    return "repeat";
`,
    put: "",
    test: ["fences", "a checkpoint that arrives again is answered, and written once"],
  },
  {
    name: "fence in front of the app's mutation",
    without: "the mutation of a stretch that was taken over from takes effect again",
    file: CHECKPOINT,
    find: `    if (row === null || verdict !== "apply") return { kind: refusal(verdict) };

    const secrets`,
    put: `    if (row === null) return { kind: refusal(verdict) };

    const secrets`,
    test: ["zombies", "frozen before every await"],
  },
  {
    name: "a committed mutation is answered from its record",
    without: "a mutation whose reply was lost is taken for one that failed",
    file: CHECKPOINT,
    find: `    if (row !== null && verdict === "repeat")
      return { kind: "committed", output: await recordedOutput(ctx, row, run.key) };
`,
    put: "",
    test: ["replies", "every call is made, and its reply is lost"],
  },
  {
    name: "fence behind the app's mutation",
    without: "an execution that canceled itself goes on",
    file: CHECKPOINT,
    find: 'return after.verdict === "canceled" ? { kind: "canceled" } : { kind: "committed", output };',
    put: 'return { kind: "committed", output };',
    test: ["cancel", "a mutation that cancels its own execution is recorded, and nothing follows it"],
  },
  {
    name: "leaseEpoch: only the newest owner renews",
    without: "a stretch that was taken over from keeps the execution alive",
    file: CHECKPOINT,
    find: "!row.ended && row.leaseEpoch === fence.leaseEpoch && ",
    put: "!row.ended && ",
    test: ["fences", "an owner of an older lease epoch is told so, cannot renew and is given nothing to run"],
  },
  {
    name: "leaseEpoch: only the newest owner is given the position",
    without: "a stretch that begins late runs the nodes of its successor",
    file: "src/component/load.ts",
    find: " || position.ended || position.leaseEpoch !== fence.leaseEpoch",
    put: "",
    test: ["fences", "an owner of an older lease epoch is told so, cannot renew and is given nothing to run"],
  },
  {
    name: "leaseEpoch: losing the lease raises it",
    without: "an owner that was given up writes until the next one is claimed",
    file: "src/component/settle.ts",
    find: "{ leaseEpoch: position.leaseEpoch + 1, crashes }",
    put: "{ crashes }",
    test: ["zombies", "woken between the loss of its lease and the next claim"],
  },
  {
    name: "leaseEpoch: only the owner's end requeues its task",
    without: "the end of an older workflow takes the execution from its running stretch",
    file: "src/component/settle.ts",
    find: ' && task.state === "claimed" && task.leaseEpoch === leaseEpoch)',
    put: ' && task.state === "claimed")',
    test: ["neighbours", "the end of the workflow of a stretch that yielded does not disturb the next stretch"],
  },
  {
    name: "proof of ownership before an effect",
    without: "a node starts after a cancel, behind a query that took long",
    file: "src/walker/walk.ts",
    find: "    if (executorOf(node).effect) await this.#checkOwner(node);\n",
    put: "",
    test: ["cancel", "canceled after every call has been made"],
  },
  {
    name: "a committed mutation moves its token before the next write",
    without: "a write of another pass takes the move back, and the mutation runs again after a crash",
    file: "src/walker/flusher.ts",
    find: "      this.#state.position = exit(this.#state.position);\n",
    put: "",
    test: ["crash", "killed before every await"],
  },
  {
    name: "ownership of a workflow",
    without: "the workflow of a stranger with the same id on another shard is removed",
    file: SHARDS,
    find: "  if (!fences.some((fence) => fence.executionId === executionId)) return null;\n",
    put: "",
    test: ["shardIndex", "cleanup"],
  },
  {
    name: "neighbours in a workflow",
    without: "canceling one execution ends the stretches that share its workflow",
    file: SHARDS,
    find: "    if (fence.executionId !== executionId && (await isUnderWay(ctx, fence))) return false;\n",
    put: "",
    test: ["neighbours", "the workflow of a canceled stretch that hangs stays while a neighbour is under way in it"],
  },
  {
    name: "safeShardIndex: whole numbers only",
    without: "1.5 and NaN name a shard that does not exist",
    file: "src/engine/placement.ts",
    find: 'typeof value === "number" && Number.isInteger(value) && value >= 0',
    put: 'typeof value === "number" && !(value < 0)',
    test: ["shardIndex", "wake"],
  },
  {
    name: "safeShardIndex: not below the first shard",
    without: "-1 names a shard that does not exist",
    file: "src/engine/placement.ts",
    find: " && value >= 0",
    put: "",
    test: ["shardIndex", "wake"],
  },
  {
    name: "safeShardIndex: not above the last shard",
    without: "8 names a shard that does not exist",
    file: "src/engine/placement.ts",
    find: " && value < MAX_SHARDS",
    put: "",
    test: ["shardIndex", "wake"],
  },
  {
    name: "a task is claimed once",
    without: "two stretches run the same execution",
    file: "src/component/pump.ts",
    find: 'if (task === null || task.state !== "queued") return null;',
    put: "if (task === null) return null;",
    test: ["fences", "a task that is claimed cannot be claimed again"],
  },
  {
    name: "generation of the pump",
    without: "a shard has two chains of pumps",
    file: "src/component/pump.ts",
    find: " || row.generation !== generation",
    put: "",
    test: ["fences", "a pump of an older generation claims nothing"],
  },
  {
    name: "generation of the watchdog",
    without: "a shard has two chains of watchdogs",
    file: "src/component/watch.ts",
    find: " || row.watchGeneration !== watchGeneration",
    put: "",
    test: ["fences", "a watchdog of an older generation takes nobody for dead"],
  },
  {
    name: "lease: an owner that was heard of has the short one",
    without: "a dead owner is noticed only after a quarter of an hour",
    file: "src/component/queue.ts",
    find: "renewedAt > claimedAt ? renewedAt < renewedBefore : claimedAt < claimedBefore",
    put: "claimedAt < claimedBefore",
    test: ["crash", "a stretch that has given a sign of life is missed after the lease"],
  },
  {
    name: "lease: an owner that never began has the long one",
    without: "a stretch that waits in the workpool's queue is taken for dead",
    file: "src/component/queue.ts",
    find: "renewedAt > claimedAt ? renewedAt < renewedBefore : claimedAt < claimedBefore",
    put: "Math.max(renewedAt, claimedAt) < renewedBefore",
    test: ["crash", "a stretch that may still wait in the workpool's queue is not taken for dead"],
  },
  {
    name: "lease: a sign of life while a node takes long",
    without: "the owner of a long node is taken for dead",
    file: CHECKPOINT,
    find: '    await ctx.db.patch("positions", row._id, { renewedAt: Date.now() });\n',
    put: "",
    test: ["crash", "a stretch whose node takes longer than the lease is not missed"],
  },
  {
    name: "an execution ends once",
    without: "a cancel after the end is reported as a broken invariant",
    file: "src/component/model/canceling.ts",
    find: "if (hasEnded(execution)) {",
    put: "if (!execution) {",
    test: ["cancel", "canceled after every call has been made"],
  },
  {
    name: "a wake counts once",
    without: "two tasks are queued for one execution",
    file: "src/component/wake.ts",
    find: '    await ctx.db.delete("waits", waitId);\n',
    put: "",
    test: ["fences", "a wake that comes twice queues one stretch"],
  },
  {
    name: "attempt of a callback's delivery",
    without: "a delivery that comes late runs the callback besides its successor",
    file: "src/component/outbox.ts",
    find: `|| row.attempt !== number) return null;
    const args`,
    put: `) return null;
    const args`,
    test: ["callback", "a delivery that comes late, or twice, runs nothing"],
  },
  {
    name: "a delivery deletes what is owed",
    without: "the callback runs again",
    file: "src/component/outbox.ts",
    find: '    await ctx.db.delete("outbox", outboxId);\n',
    put: "",
    test: ["callback", "a success, once"],
  },
  {
    name: "abort of what is given up",
    without: "a model call goes on after a timeout or a cancel",
    file: "src/walker/effects.ts",
    find: "          controller.abort();\n",
    put: "",
    test: ["leftovers", "a provider that never answers, and a timeout"],
  },
];

export const testFile = ([file]: Guard["test"]): string => `test/component/faults/${file}.test.ts`;

/** docs/guards.md, before formatting. */
export function renderGuards(): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = GUARDS.map(
    ({ name, without, file, test }) =>
      `| ${cell(name)} | \`${file}\` | ${cell(without)} | \`${test[0]}\`: ${cell(test[1])} |`,
  );
  return `# Guards

<!-- Generated from scripts/guards/list.ts by scripts/guards.ts. Do not edit. -->

The lines that keep a late, repeated or foreign writer out. \`npm run guards\` removes each in turn, as it is loaded and not on disk, and expects the named test of \`test/component/faults\` to fail.

| guard | where | without it | test that fails |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}
