/** What the convex package has for commit timestamps, for tests that name it outside of a function. */
import { jsonToConvex, type Value } from "convex/values";
import { deploy, type Functions } from "./support.js";

export const PLACEHOLDER: Value = jsonToConvex({ $commitTs: null });

export const deployOf = (functions: Functions = {}) => deploy(functions);

type Convex = { syscall(op: string, args: string): string };
/** `ctx.meta.getSnapshotTs` of the package, which its types do not show for every context. */
export const getSnapshotTs = (): Value =>
  jsonToConvex(
    JSON.parse((globalThis as unknown as { Convex: Convex }).Convex.syscall("1.0/getSnapshotTs", "{}")) as never,
  );
