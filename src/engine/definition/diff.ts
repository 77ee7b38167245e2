/**
 * What is different between two definitions.
 *
 * Owns: which differences count, and how they are grouped. Pure; neither definition need be valid.
 * Invariants: 1. Two definitions that mean the same have no differences: the order of fields and nodes does not count,
 * nor whether the format of the first release is named, nor an empty `next`. 2. Nothing that differs is left out: the
 * changes, applied to the first, give the second. 3. Nodes are matched by id; nothing is guessed about renaming.
 */
import type { ConnectionChange, DefinitionDiff, NodeChange, ValueChange } from "../../shared/definitionDiff.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import { UNMARKED_FORMAT } from "./migrations.js";
import { changesOf, fieldOf, keysOfBoth } from "./valueDiff.js";

/** @param before - plain JSON; one without nodes counts as one that has none. */
export function diffDefinitions(before: JsonObject, after: JsonObject): DefinitionDiff {
  const { nodes: nodesBefore = {}, ...restBefore } = withFormat(before);
  const { nodes: nodesAfter = {}, ...restAfter } = withFormat(after);
  const definition = changesOf(restBefore, restAfter);
  const nodes: NodeChange[] = [];
  if (isJsonObject(nodesBefore) && isJsonObject(nodesAfter)) nodes.push(...diffNodes(nodesBefore, nodesAfter));
  else definition.push(...changesOf(nodesBefore, nodesAfter, ["nodes"]));
  return { equal: definition.length === 0 && nodes.length === 0, definition, nodes };
}

/** A definition that names the format of those that name none says nothing new. */
function withFormat({ format = UNMARKED_FORMAT, ...rest }: JsonObject): JsonObject {
  return { format, ...rest };
}

function diffNodes(before: JsonObject, after: JsonObject): NodeChange[] {
  return keysOfBoth(before, after).flatMap((node): NodeChange[] => {
    const [was, is] = [fieldOf(before, node), fieldOf(after, node)];
    if (was === undefined) return is === undefined ? [] : [{ kind: "added", node, after: is }];
    if (is === undefined) return [{ kind: "removed", node, before: was }];
    const change = diffNode(was, is);
    return change.fields.length + change.connections.length === 0 ? [] : [{ kind: "changed", node, ...change }];
  });
}

function diffNode(before: Json, after: Json): { fields: ValueChange[]; connections: ConnectionChange[] } {
  if (!isJsonObject(before) || !isJsonObject(after)) return { fields: changesOf(before, after), connections: [] };
  const [was, is] = [readWiring(before), readWiring(after)];
  // Wiring of a definition that is not valid is compared as any other field.
  if (was === null || is === null) return { fields: changesOf(before, after), connections: [] };
  return { fields: changesOf(was.rest, is.rest), connections: diffConnections(was.next, is.next) };
}

function diffConnections(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): ConnectionChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((port): ConnectionChange[] => {
    const [was, is] = [before.get(port), after.get(port)];
    if (was === is) return [];
    if (was === undefined) return is === undefined ? [] : [{ kind: "added", port, after: is }];
    if (is === undefined) return [{ kind: "removed", port, before: was }];
    return [{ kind: "retargeted", port, before: was, after: is }];
  });
}

/** The connections of a node and its other fields, or null when `next` is not what it must be. */
function readWiring({ next = {}, ...rest }: JsonObject): { next: Map<string, string>; rest: JsonObject } | null {
  if (!isJsonObject(next)) return null;
  const entries = Object.entries(next).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return entries.length === Object.keys(next).length ? { next: new Map(entries), rest } : null;
}
