/** File storage as an action has it, for code of a test: such code may store and read files in its transaction. */
import { actionGeneric, type StorageActionWriter } from "convex/server";
import type { RegisteredFunction } from "../runtime/component.js";

let writer: Promise<StorageActionWriter> | null = null;

/** It asks whoever runs when it is used, so there is one for all. */
export async function storageOf(): Promise<StorageActionWriter> {
  writer ??= new Promise((resolve, reject) => {
    const code = actionGeneric(({ storage }) => resolve(storage)) as unknown as RegisteredFunction;
    code.invokeAction("storage", "[{}]").catch(reject);
  });
  return await writer;
}
