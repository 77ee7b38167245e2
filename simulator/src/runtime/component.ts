/**
 * A component instance: its modules, its functions by name, its tables and what it sees of the environment.
 *
 * Owns: names and references (section 6.5). Invariants: only public functions are reached from a parent; a handle reaches
 * any function; modules are imported once, before anything runs.
 */
import type { GenericSchema, SchemaDefinition } from "convex/server";
import type { Namespace } from "../store/database.js";
import type { ValidatorJson } from "../values/validate.js";

export type Modules = Record<string, () => Promise<unknown>>;
export type Schema = SchemaDefinition<GenericSchema, boolean>;
export type Kind = "query" | "mutation" | "action";

/** A registered function, as the convex package makes it (section 6.4). */
export type RegisteredFunction = {
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  isHttp?: boolean;
  isPublic?: boolean;
  isInternal?: boolean;
  exportArgs(): string;
  exportReturns(): string;
  invokeQuery(args: string): Promise<string>;
  invokeMutation(args: string): Promise<string>;
  invokeAction(requestId: string, args: string): Promise<string>;
};

export type ConvexFunction = {
  readonly component: Component;
  /** `module/path:export`. */
  readonly name: string;
  readonly kind: Kind;
  readonly isPublic: boolean;
  readonly args: ValidatorJson;
  readonly returns: ValidatorJson | null;
  readonly code: RegisteredFunction;
};

/** How modules are imported, and what they are checked for before anything of them is used. */
export type Loading = {
  import: <T>(work: () => Promise<T>) => Promise<T>;
  check: (modules: ReadonlyArray<readonly [string, Record<string, unknown>]>) => void;
};

export class Component {
  /** "" for the app, else "child/grandchild". */
  readonly path: string;
  readonly namespace: Namespace;
  readonly schema: Schema | null;
  /** Table name -> validator of its documents; null where the schema is not enforced. */
  readonly documents: ReadonlyMap<string, ValidatorJson>;
  env: Readonly<Record<string, string | undefined>> | null;
  readonly #functions = new Map<string, ConvexFunction>();
  readonly #modules = new Map<string, Record<string, unknown>>();
  readonly #loaders = new Map<string, () => Promise<unknown>>();
  /** Of test files: loading one runs its tests, so that is done only for the one that names its own functions. */
  readonly #testLoaders = new Map<string, () => Promise<unknown>>();
  readonly #loading: Loading | null;
  #loaded = false;

  constructor(
    path: string,
    namespace: Namespace,
    schema: Schema | null,
    modules: Modules,
    env: Readonly<Record<string, string | undefined>> | null,
    loading: Loading | null = null,
  ) {
    this.path = path;
    this.#loading = loading;
    this.namespace = namespace;
    this.schema = schema;
    this.env = env;
    this.documents = documentValidators(schema);
    this.replaceModules(modules);
  }

  /** What a deploy does. Functions that run go on with the code they have. */
  replaceModules(modules: Modules): void {
    this.#loaders.clear();
    this.#testLoaders.clear();
    for (const [name, load] of moduleNames(modules)) {
      (isTest(name) ? this.#testLoaders : this.#loaders).set(name, load);
    }
    this.#functions.clear();
    this.#modules.clear();
    this.#loaded = false;
  }

  /** Loads other code (or the same again); what it answers puts that in place, in one instant. */
  async stage(modules: Modules): Promise<() => void> {
    const loaded = await this.#import(moduleNames(modules).filter(([name]) => !isTest(name)));
    return () => {
      this.replaceModules(modules);
      for (const [name, module] of loaded) this.#modules.set(name, module);
      this.#loaded = true;
    };
  }

  get isLoaded(): boolean {
    return this.#loaded;
  }

  async load(): Promise<void> {
    for (const [name, module] of await this.#import(this.#loaders)) this.#modules.set(name, module);
    this.#loaded = true;
  }

  /** The same component with modules of its own. */
  async fresh(modules: Modules): Promise<Component> {
    const fresh = new Component(this.path, this.namespace, this.schema, modules, this.env, this.#loading);
    await fresh.load();
    return fresh;
  }

  async #importOne(name: string, load: () => Promise<unknown>): Promise<Record<string, unknown>> {
    try {
      return (await load()) as Record<string, unknown>;
    } catch (error) {
      const where = this.path === "" ? name : `${this.path}/${name}`;
      const { message } = error instanceof Error ? error : new Error(String(error));
      throw new Error(`Importing ${where} failed: ${message}`, { cause: error });
    }
  }

  async #import(loaders: Iterable<readonly [string, () => Promise<unknown>]>) {
    const loaded: Array<readonly [string, Record<string, unknown>]> = [];
    const work = async () => {
      for (const [name, load] of loaders) loaded.push([name, await this.#importOne(name, load)]);
    };
    if (this.#loading === null) await work();
    else await this.#loading.import(work);
    this.#loading?.check(loaded);
    return loaded;
  }

  /** Loads the test file that has the function of this name; null when none has, or it is loaded. */
  loadTest(name: string): Promise<void> | null {
    const moduleName = name.slice(0, name.lastIndexOf(":"));
    const load = this.#testLoaders.get(moduleName);
    if (load === undefined) return null;
    this.#testLoaders.delete(moduleName);
    return load().then((module) => void this.#modules.set(moduleName, module as Record<string, unknown>));
  }

  module(name: string): Record<string, unknown> | undefined {
    return this.#modules.get(name);
  }

  modules(): Iterable<[string, Record<string, unknown>]> {
    return this.#modules;
  }

  /** A function by `module:export`, or null. */
  find(name: string): ConvexFunction | null {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    const colon = name.lastIndexOf(":");
    const moduleName = (colon < 0 ? name : name.slice(0, colon)).replace(/\.js$/, "");
    const exported = colon < 0 ? "default" : name.slice(colon + 1);
    const value = this.#modules.get(moduleName)?.[exported];
    const kind = kindOf(value);
    if (kind === null) return null;
    const code = value as RegisteredFunction;
    const found: ConvexFunction = {
      component: this,
      name: `${moduleName}:${exported}`,
      kind,
      isPublic: code.isPublic === true,
      args: JSON.parse(code.exportArgs()) as ValidatorJson,
      returns: JSON.parse(code.exportReturns()) as ValidatorJson | null,
      code,
    };
    this.#functions.set(name, found);
    return found;
  }

  /** Takes a function away, as a deploy that removes it does. */
  remove(name: string): void {
    const colon = name.lastIndexOf(":");
    const module = this.#modules.get(name.slice(0, colon));
    if (module !== undefined) {
      const { [name.slice(colon + 1)]: _, ...rest } = module;
      this.#modules.set(name.slice(0, colon), rest);
    }
    this.#functions.delete(name);
  }
}

export function kindOf(value: unknown): Kind | null {
  if (typeof value !== "function") return null;
  const { isQuery, isMutation, isAction } = value as unknown as RegisteredFunction;
  return isQuery === true ? "query" : isMutation === true ? "mutation" : isAction === true ? "action" : null;
}

/** Files by the names their functions have: without the folder they share, and without extension. */
function moduleNames(modules: Modules): Array<[string, () => Promise<unknown>]> {
  const paths = Object.keys(modules);
  const generated = paths.find((path) => path.includes("_generated/"));
  const root = generated === undefined ? commonFolder(paths) : generated.slice(0, generated.indexOf("_generated/"));
  const named: Array<[string, () => Promise<unknown>]> = [];
  for (const [path, load] of Object.entries(modules)) {
    if (!path.startsWith(root)) continue;
    const file = path.slice(root.length);
    if (/(^|\/)_generated\/|\.d\.ts$|convex\.config\./.test(file)) continue;
    named.push([file.replace(/\.[cm]?[jt]sx?$/, ""), load]);
  }
  return named;
}

const isTest = (name: string): boolean => /\.test(\.|$)/.test(name);

function commonFolder(paths: readonly string[]): string {
  const folders = paths.map((path) => path.slice(0, path.lastIndexOf("/") + 1));
  return folders.reduce((a, b) => (a.length <= b.length ? a : b), folders[0] ?? "");
}

function documentValidators(schema: Schema | null): Map<string, ValidatorJson> {
  const validators = new Map<string, ValidatorJson>();
  if (schema === null) return validators;
  const exported = JSON.parse((schema as unknown as { export(): string }).export()) as {
    tables: Array<{ tableName: string; documentType: ValidatorJson | null }>;
    schemaValidation: boolean;
  };
  if (!exported.schemaValidation) return validators;
  for (const { tableName, documentType } of exported.tables) {
    if (documentType !== null) validators.set(tableName, documentType);
  }
  return validators;
}
