/**
 * From what a caller names to a function (section 6.5).
 *
 * Owns: names, references and handles. Invariants: a child component shows only public functions; a handle reaches any
 * function for as long as that exists.
 */
import type { JSONValue } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import { newId } from "../values/ids.js";
import type { Component, ConvexFunction } from "./component.js";

const CHILD = "_reference/childComponent/";
const HANDLE = "function://";
/** Any number that no table has. */
const HANDLE_TABLE = 9_999;

export function resolve(deployment: Deployment, from: Component, args: Record<string, JSONValue>): ConvexFunction {
  const { name, reference, functionHandle } = args;
  if (typeof functionHandle === "string") return deployment.handles.resolve(functionHandle);
  if (typeof reference === "string") return resolveReference(deployment, from, reference);
  if (typeof name === "string") {
    return name.startsWith(HANDLE) ? deployment.handles.resolve(name) : inComponent(from, name);
  }
  throw new Error("InvalidFunction: a call names no function.");
}

/**
 * Only for tests that are written for convex-test: their own file can have functions, which are there once it is loaded.
 * Null when there is nothing to load.
 */
export function loadTest(
  deployment: Deployment,
  from: Component,
  { name, functionHandle }: Record<string, JSONValue>,
): Promise<void> | null {
  if (deployment.loop.mode !== "ambient") return null;
  const handle = [functionHandle, name].map((text) => writtenHandle(text)).find((written) => written !== null);
  if (handle !== undefined) return deployment.componentOrNull(handle.componentPath)?.loadTest(handle.name) ?? null;
  return typeof name === "string" ? from.loadTest(name) : null;
}

/** A handle that a test has written itself, as those of convex-test look: the component's path and the function's name. */
function writtenHandle(text: JSONValue | undefined): { componentPath: string; name: string } | null {
  const [, componentPath, name] = (typeof text === "string" && /^function:\/\/([^;#]*);(.+)$/.exec(text)) || [];
  return componentPath === undefined || name === undefined ? null : { componentPath, name };
}

function resolveReference(deployment: Deployment, from: Component, reference: string): ConvexFunction {
  if (reference.startsWith(HANDLE)) return deployment.handles.resolve(reference);
  if (!reference.startsWith(CHILD)) {
    const path = reference.replace(/^_reference\/function\//, "");
    return inComponent(from, path.includes(":") ? path : toName(path.split("/")));
  }
  const [child = "", ...rest] = reference.slice(CHILD.length).split("/");
  const path = from.path === "" ? child : `${from.path}/${child}`;
  const component = deployment.componentOrNull(path);
  const fn = component?.find(toName(rest)) ?? null;
  if (fn === null || !fn.isPublic) {
    const why = component === null ? `there is no component "${path}"` : "it has no public function of that name";
    throw new Error(`InvalidReference: ${reference} cannot be resolved: ${why}.`);
  }
  return fn;
}

const toName = (parts: readonly string[]): string => `${parts.slice(0, -1).join("/")}:${parts.at(-1) ?? ""}`;

function inComponent(component: Component, name: string): ConvexFunction {
  const fn = component.find(name);
  if (fn !== null) return fn;
  const where = component.path === "" ? "the app" : `component "${component.path}"`;
  throw new Error(`Could not find function for '${name}' in ${where}. Did you forget to push it?`);
}

/** Function handles: opaque, stable while the function exists, usable from every component. */
export class Handles {
  readonly #deployment: Deployment;
  readonly #byFunction = new Map<string, string>();
  readonly #byHandle = new Map<string, { componentPath: string; name: string }>();
  readonly #dropped = new Set<string>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  of({ component, name }: ConvexFunction): string {
    const key = `${component.path}|${name}`;
    let handle = this.#byFunction.get(key);
    if (handle === undefined) {
      const id = newId(HANDLE_TABLE, () => this.#deployment.random(), 0);
      handle = `${HANDLE}${id}#${name}`;
      this.#byFunction.set(key, handle);
      this.#byHandle.set(handle, { componentPath: component.path, name });
    }
    return handle;
  }

  /** Takes a handle away for good, as a deploy without its function does. */
  drop(handle: string): void {
    this.#dropped.add(handle);
  }

  #written(handle: string): { componentPath: string; name: string } | undefined {
    return (this.#deployment.loop.mode === "ambient" ? writtenHandle(handle) : null) ?? undefined;
  }

  resolve(handle: string): ConvexFunction {
    const target = this.#byHandle.get(handle) ?? this.#written(handle);
    if (target !== undefined && this.#deployment.faults?.strike("dropHandle:resolve", pathOf(target)))
      this.drop(handle);
    const fn =
      target === undefined || this.#dropped.has(handle)
        ? null
        : this.#deployment.component(target.componentPath).find(target.name);
    if (fn === null) throw new Error(`FunctionHandleNotFound: ${handle} leads to no function.`);
    return fn;
  }
}

const pathOf = ({ componentPath, name }: { componentPath: string; name: string }): string =>
  componentPath === "" ? name : `${componentPath}/${name}`;
