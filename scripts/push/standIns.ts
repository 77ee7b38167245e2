/**
 * What stands for the packages that the Convex CLI's modules import but that are installed nowhere: the published CLI
 * carries them inside its own bundle (chalk, ora, @sentry/node, zod, @babel/parser and others).
 *
 * Owns: how far a stand-in goes. While the modules are loaded it takes every use, because modules build spinners and
 * schemas at their top level that bundling never looks at. Once sealed, a call throws and names the package, so a bundler
 * that starts to depend on one is found out. Colours are the exception: they return their text.
 * Known effect: the CLI's parser of `"use node"` throws, and the CLI falls back on its own regular expression for it.
 */
let sealed = false;

/** From here on a call of a stand-in is an error. */
export function seal(): void {
  sealed = true;
}

const PAINTS = new Set(["chalk"]);

export function standIn(name: string): unknown {
  const use = (args: unknown[]): unknown => {
    if (PAINTS.has(name)) return args[0];
    if (sealed)
      throw new Error(`The Convex CLI's bundler used "${name}", which scripts/push/standIns.ts stands in for.`);
    return self;
  };
  const self: unknown = new Proxy(function () {}, {
    get: (_, key) => (typeof key === "symbol" || key === "__esModule" ? undefined : self),
    // esbuild's view of a CommonJS module is an object that inherits from what the prototype is: so it finds every name.
    getPrototypeOf: () => self as object,
    apply: (_, _self, args: unknown[]) => use(args),
    construct: (_, args: unknown[]) => use(args) as object,
  });
  return self;
}
