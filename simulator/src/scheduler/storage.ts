/**
 * File storage, as far as functions use it: rows in `_storage`, contents beside them.
 * Invariant: a file is there exactly when its row is committed.
 */
import type { JSONValue, Value } from "convex/values";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Deployment } from "../engine/deployment.js";
import { inOrder, type Frame, type TransactionFrame } from "../runtime/frame.js";
import type { Table } from "../store/table.js";
import { decodeId, newId } from "../values/ids.js";
import { FILES_TABLE } from "./systemTables.js";
import { textOf } from "../runtime/text.js";

type Args = Record<string, JSONValue>;

/** Contents by id. */
export class Files {
  readonly contents = new Map<string, Blob>();
}

const tableOf = (frame: Frame): Table => frame.component.namespace.table(FILES_TABLE) as Table;
const isFile = (frame: Frame, id: string): boolean => decodeId(id)?.tableNumber === tableOf(frame).number;

/** Undefined for an operation that is not one of storage. */
export function inTransaction(
  deployment: Deployment,
  frame: TransactionFrame,
  op: string,
  args: Args,
): string | undefined {
  const id = textOf(args.storageId);
  switch (op) {
    case "1.0/storageGetUrl": {
      const row = isFile(frame, id) ? frame.transaction.get(tableOf(frame), id) : null;
      return JSON.stringify(row === null ? null : `https://simulated.convex.cloud/api/storage/${id}`);
    }
    case "1.0/storageGetMetadata": {
      const row = isFile(frame, id) ? frame.transaction.get(tableOf(frame), id) : null;
      return row === null ? "null" : row.json;
    }
    case "1.0/storageGenerateUploadUrl":
      return JSON.stringify(`https://simulated.convex.cloud/api/storage/upload?token=${deployment.random()}`);
    case "1.0/storageDelete":
      if (frame.kind === "query") throw new Error("storage.delete cannot be used in a query.");
      if (!isFile(frame, id) || frame.transaction.remove(tableOf(frame), id) === null) {
        throw new Error(`storage id ${id} not found`);
      }
      return "null";
    default:
      return undefined;
  }
}

export async function inAction(
  deployment: Deployment,
  frame: Frame,
  op: string,
  args: Args,
): Promise<string | undefined> {
  if (!op.startsWith("1.0/storage")) return undefined;
  return await deployment.transactions.inSmallTransaction(frame, op, (inner) =>
    inTransaction(deployment, inner, op, args),
  );
}

export async function jsSyscall(
  deployment: Deployment,
  frame: Frame,
  op: string,
  args: Record<string, unknown>,
): Promise<unknown> {
  // Operations of actions. What a test hands in may use them in its transaction, too.
  if (frame.kind !== "action" && frame.fn !== null) throw new Error(`UnknownAsyncOperation: Unknown operation ${op}`);
  if (op === "storage/getBlob") {
    const { storageId } = args as { storageId: string };
    const row =
      frame.kind === "action"
        ? tableOf(frame).get(storageId, deployment.database.published)
        : frame.transaction.get(tableOf(frame), storageId);
    return row === null ? null : (deployment.files.contents.get(storageId) ?? null);
  }
  if (op !== "storage/storeBlob") throw new Error(`UnknownAsyncOperation: Unknown operation ${op}`);
  const { blob } = args as { blob: Blob };
  const bytes = Buffer.from(await deployment.loop.real(blob.arrayBuffer()));
  const store = (inner: TransactionFrame) => {
    const table = tableOf(inner);
    const id = newId(table.number, () => inner.rng.next(), Math.floor(inner.frozenNow / 86_400_000));
    const fields: Record<string, Value> = {
      sha256: createHash("sha256").update(bytes).digest("base64"),
      size: bytes.length,
      ...(blob.type === "" ? {} : { contentType: blob.type }),
    };
    inner.transaction.insert(table, id, fields);
    deployment.files.contents.set(id, blob);
    return id;
  };
  return frame.kind === "action"
    ? await deployment.transactions.inSmallTransaction(frame, "storage.store", store)
    : await inOrder(frame, () => store(frame));
}
