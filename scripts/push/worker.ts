/**
 * The process that checks apps, one after the other: it goes into the root of each, as the Convex CLI does.
 *
 * Started by run.ts with what it needs; not a program for people.
 */
import { loadCliBundler, type CliBundler } from "./cliBundler.js";
import { checkApp } from "./check.js";
import { EMPTY_MODULE } from "./consumer.js";
import type { Answer, Task } from "./run.js";
import { measure } from "./sizes.js";

async function perform(cli: CliBundler, { root, sizesOf }: Task): Promise<Answer> {
  process.chdir(root);
  const { report, bundled } = await checkApp(cli, root);
  if (sizesOf === undefined) return { ...report, sizes: null };
  return { ...report, sizes: await measure(cli, root, { bundled, packageName: sizesOf, emptyEntry: EMPTY_MODULE }) };
}

process.once("message", (tasks: Task[]) => {
  void (async () => {
    const cli = await loadCliBundler();
    const answers: Answer[] = [];
    for (const task of tasks) answers.push(await perform(cli, task));
    process.send?.(answers, () => process.disconnect());
  })();
});
