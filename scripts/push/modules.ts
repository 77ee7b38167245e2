/**
 * Imports bundled modules as a push does when it analyses them, in a realm of their own.
 *
 * Owns: linking a bundle's modules with each other, the time limit, and finding the source line of what went wrong.
 * Needs Node's --experimental-vm-modules (run.ts).
 */
import { isBuiltin, SourceMap } from "node:module";
import path from "node:path";
import vm from "node:vm";
import type { BundledModule } from "./cliBundler.js";
import { convexRuntime, nodeRuntime, type Effect } from "./runtime.js";

/** As Convex: a module that takes longer to import fails the push. */
const IMPORT_LIMIT_MS = 4_000;
/** No module can wait for anything while it is imported, so one that still waits then does so in vain. */
const PENDING_LIMIT_MS = 1_000;
const SCHEME = "bundle:";
const FRAME = /bundle:([^\s()]+?):(\d+):(\d+)/g;

/** A place in a source file: its absolute path and its line. */
export type Place = { file: string; line: number };

export type Import = { ok: true; exports: Record<string, unknown> } | { ok: false; error: Error; places: Place[] };

export type SeenEffect = Effect & { places: Place[] };

export class BundledModules {
  readonly effects: SeenEffect[] = [];
  private readonly sources: Map<string, BundledModule>;
  private readonly sourceRoot: string;
  private readonly outside: Map<string, Record<string, unknown>>;
  private readonly contexts = new Map<BundledModule["environment"], vm.Context>();
  private readonly loaded = new Map<string, Promise<vm.Module>>();
  private readonly maps = new Map<string, SourceMap>();
  private unhandled: unknown[] = [];

  /**
   * @param sourceRoot The directory that source maps are relative to.
   * @param outside Exports of modules that are not in the bundle, by specifier.
   */
  constructor(modules: BundledModule[], sourceRoot: string, outside: Record<string, Record<string, unknown>> = {}) {
    this.sources = new Map(modules.map((module) => [module.path, module]));
    this.sourceRoot = sourceRoot;
    this.outside = new Map(Object.entries(outside));
  }

  async import(modulePath: string): Promise<Import> {
    const catchUnhandled = (reason: unknown): number => this.unhandled.push(reason);
    process.on("unhandledRejection", catchUnhandled);
    try {
      const module = await this.load(modulePath);
      // A cycle of entry points may have been linked from elsewhere.
      if (module.status === "unlinked")
        await module.link((specifier, from) => this.resolve(specifier, from.identifier));
      await within(PENDING_LIMIT_MS, module.evaluate({ timeout: IMPORT_LIMIT_MS }));
      // Rejections that nobody handles are told after the microtasks.
      await new Promise((resolve) => setImmediate(resolve));
      const [reason] = this.unhandled.splice(0);
      if (reason !== undefined) return this.failed(reason);
      return { ok: true, exports: module.namespace as Record<string, unknown> };
    } catch (error) {
      await new Promise((resolve) => setImmediate(resolve));
      this.unhandled = [];
      return this.failed(error);
    } finally {
      process.off("unhandledRejection", catchUnhandled);
    }
  }

  private failed(reason: unknown): Import {
    // Errors of another realm are no instances of ours. A chunk that failed before shows as the cause of a failed link.
    const isError = typeof reason === "object" && reason !== null && "message" in reason;
    const thrown = isError ? (reason as NodeJS.ErrnoException) : new Error(`It threw ${String(reason)}.`);
    const isLink = "code" in thrown && thrown.code === "ERR_VM_MODULE_LINK_FAILURE" && thrown.cause !== undefined;
    const error = isLink ? (thrown.cause as Error) : thrown;
    return { ok: false, error, places: this.places(error.stack ?? "") };
  }

  private load(modulePath: string): Promise<vm.Module> {
    const known = this.loaded.get(modulePath);
    if (known !== undefined) return known;
    const bundled = this.sources.get(modulePath);
    if (bundled === undefined) throw new Error(`The bundle has no module ${modulePath}.`);
    const module = Promise.resolve(
      new vm.SourceTextModule(bundled.source, {
        identifier: SCHEME + modulePath,
        context: this.contextOf(bundled.environment),
        importModuleDynamically: async (specifier: string) => {
          this.seen({ kind: "effect", name: `import(${JSON.stringify(specifier)})` });
          throw new Error(`Can't use import() while a module is imported.`);
        },
      }),
    );
    this.loaded.set(modulePath, module);
    return module;
  }

  private contextOf(environment: BundledModule["environment"]): vm.Context {
    const known = this.contexts.get(environment);
    if (known !== undefined) return known;
    const context = environment === "node" ? nodeRuntime() : convexRuntime((effect) => this.seen(effect));
    this.contexts.set(environment, context);
    return context;
  }

  private async resolve(specifier: string, from: string): Promise<vm.Module> {
    const target = path.posix.join(path.posix.dirname(from.slice(SCHEME.length)), specifier);
    const given = this.outside.get(specifier) ?? (isBuiltin(specifier) ? await builtin(specifier) : undefined);
    if (given === undefined) return this.load(target);
    const context = this.contextOf(this.sources.get(from.slice(SCHEME.length))?.environment ?? "isolate");
    return new vm.SyntheticModule(
      Object.keys(given),
      function () {
        for (const [name, value] of Object.entries(given)) this.setExport(name, value);
      },
      { context },
    );
  }

  private seen(effect: Effect): void {
    this.effects.push({ ...effect, places: this.places(new Error().stack ?? "") });
  }

  /** The source lines of a stack, innermost first. */
  private places(stack: string): Place[] {
    return [...stack.matchAll(FRAME)].flatMap(([, modulePath = "", line, column]) => {
      const map = this.mapOf(modulePath);
      const entry = map?.findEntry(Number(line) - 1, Number(column) - 1);
      if (entry === undefined || !("originalSource" in entry)) return [];
      const file = path.resolve(this.sourceRoot, path.dirname(modulePath), entry.originalSource);
      return [{ file, line: entry.originalLine + 1 }];
    });
  }

  private mapOf(modulePath: string): SourceMap | undefined {
    const known = this.maps.get(modulePath);
    const text = this.sources.get(modulePath)?.sourceMap;
    if (known !== undefined || text === undefined) return known;
    const map = new SourceMap(JSON.parse(text) as ConstructorParameters<typeof SourceMap>[0]);
    this.maps.set(modulePath, map);
    return map;
  }
}

async function builtin(specifier: string): Promise<Record<string, unknown>> {
  return (await import(specifier)) as Record<string, unknown>;
}

async function within(limitMs: number, evaluated: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("A top-level await waits for something that never comes.")), limitMs);
  });
  try {
    await Promise.race([evaluated, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
