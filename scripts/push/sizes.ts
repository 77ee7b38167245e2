/**
 * What a call of the component makes Convex load: the sizes of its bundled entries.
 *
 * Owns: what is measured, and which entries may not grow. A module is evaluated afresh for every call, so the entries of
 * the hot path are held small. Convex's own library comes with every function and is told apart: the CLI neither strips
 * whitespace nor shortens names, so that library alone is more than the limit, in an empty function as well. Other
 * libraries are told apart by name: a hot entry may load only those that are listed for it.
 */
import path from "node:path";
import type { Metafile } from "esbuild";
import { labelOf, type BundledDirectory } from "./bundle.js";
import { PACKAGE_NAME } from "./consumer.js";
import type { CliBundler } from "./cliBundler.js";
import { closure } from "./functionRules.js";

/** 60 KB, as architecture.md of the design asks: of our own code as emitted, and of the whole entry when minified. */
export const MAX_HOT_BYTES = 60 * 1024;

/** Entries that run for every execution or every step of one, and what they do. */
export const HOT_ENTRIES: Record<string, string> = {
  executions: "start",
  cancellations: "cancel",
  kick: "kick",
  pump: "claim",
  checkpoint: "checkpoint",
};

/** Libraries that a hot entry may load, and why. */
export const HOT_LIBRARIES: Record<string, Record<string, string>> = {
  executions: { "@cfworker/json-schema": "a start checks its input against the schema of the version" },
};

/** So many sources are named for an entry that is too big. */
const BIGGEST = 6;

export type EntrySize = {
  entry: string;
  /** The entry and every chunk it imports statically, as the CLI emits them. */
  emitted: number;
  /** Of these, what comes from the `convex` package. */
  convex: number;
  /** Of these, what comes from other packages, by name. */
  libraries: Record<string, number>;
  /** The rest. */
  own: number;
  /** The entry bundled alone and fully minified, Convex's library included, other packages not. */
  alone: number;
  /** Where the own bytes come from, biggest first. */
  biggest: Array<{ file: string; bytes: number }>;
};

export type Sizes = { baseline: EntrySize; entries: EntrySize[] };

/**
 * Sizes of the entries of a component, told by its package, in alphabetical order, and of `emptyEntry` of the app as the
 * baseline. Null when one of the two did not bundle.
 */
export async function measure(
  cli: CliBundler,
  root: string,
  { bundled, packageName, emptyEntry }: { bundled: BundledDirectory[]; packageName: string; emptyEntry: string },
): Promise<Sizes | null> {
  const app = bundled.find(({ isRoot }) => isRoot);
  const component = bundled.find(({ importSpecifier }) => importSpecifier === packageName);
  if (app?.metafile == null || component?.metafile == null) return null;
  const { [emptyEntry]: baseline } = await measureDirectory(cli, root, app.dir, app.metafile);
  if (baseline === undefined) throw new Error(`The app has no module ${emptyEntry} to measure the baseline with.`);
  const entries = Object.values(await measureDirectory(cli, root, component.dir, component.metafile));
  return { baseline, entries: entries.sort((a, b) => (a.entry < b.entry ? -1 : 1)) };
}

async function measureDirectory(
  cli: CliBundler,
  root: string,
  dir: string,
  metafile: Metafile,
): Promise<Record<string, EntrySize>> {
  const sizes: Record<string, EntrySize> = {};
  for (const [output, { entryPoint }] of Object.entries(metafile.outputs)) {
    // What is imported dynamically is an entry to esbuild, and a chunk to Convex.
    if (entryPoint === undefined || output.startsWith("out/_deps/")) continue;
    const entry = output.replace(/^out\//, "").replace(/\.js$/, "");
    const outputs = closure(metafile, output);
    const inputs = outputs.flatMap((one) => Object.entries(metafile.outputs[one]?.inputs ?? {}));
    const emitted = sum(outputs.map((one) => metafile.outputs[one]?.bytes ?? 0));
    const bytesOf = (part: typeof inputs): number => sum(part.map(([, { bytesInOutput }]) => bytesInOutput));
    const convex = bytesOf(inputs.filter(([file]) => isConvex(file)));
    const libraries = byPackage(inputs);
    const biggest = inputs
      .filter(([file]) => packageOf(file) === null)
      .map(([file, { bytesInOutput }]) => ({ file: labelOf(root, path.resolve(root, file)), bytes: bytesInOutput }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, BIGGEST);
    const alone = await aloneAndMinified(cli, root, dir, path.resolve(root, entryPoint));
    const own = emitted - convex - sum(Object.values(libraries));
    sizes[entry] = { entry, emitted, convex, libraries, own, alone, biggest };
  }
  return sizes;
}

/** The package that a source is of; null for our own, which is copied into the consumer's node_modules. */
function packageOf(file: string): string | null {
  const name = /(?:^|.*\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
  return name === undefined || name === PACKAGE_NAME ? null : name;
}

const isConvex = (file: string): boolean => packageOf(file) === "convex";

/** Bytes of packages other than Convex. */
function byPackage(inputs: Array<[string, { bytesInOutput: number }]>): Record<string, number> {
  const bytes: Record<string, number> = {};
  for (const [file, { bytesInOutput }] of inputs) {
    const name = packageOf(file);
    if (name !== null && name !== "convex" && bytesInOutput > 0) bytes[name] = (bytes[name] ?? 0) + bytesInOutput;
  }
  return bytes;
}

const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0);

/** By the CLI's own call of esbuild, with minification instead of readable names. */
async function aloneAndMinified(cli: CliBundler, root: string, dir: string, entryPoint: string): Promise<number> {
  const { build } = cli.esbuildSession;
  cli.esbuildSession.build = (options) =>
    build({
      absWorkingDir: root,
      ...options,
      minify: true,
      minifyWhitespace: true,
      keepNames: false,
      logLevel: "silent",
    });
  try {
    const { outputFiles, metafile } = await cli.innerEsbuild({
      entryPoints: [entryPoint],
      platform: "browser",
      dir,
      extraConditions: [],
      generateSourceMaps: false,
      plugins: [],
      chunksFolder: "_deps",
      splitting: false,
    });
    const inputs = Object.values(metafile?.outputs ?? {}).flatMap((output) => Object.entries(output.inputs));
    return sum(outputFiles.map(({ contents }) => contents.byteLength)) - sum(Object.values(byPackage(inputs)));
  } finally {
    cli.esbuildSession.build = build;
  }
}

/** What is wrong with the sizes, as sentences: hot entries that are too big or missing. */
export function oversized(sizes: Sizes | null): string[] {
  if (sizes === null) return ["The entries cannot be measured: the package does not bundle."];
  const { entries } = sizes;
  return Object.entries(HOT_ENTRIES).flatMap(([name, role]) => {
    const size = entries.find(({ entry }) => entry === name);
    if (size === undefined) {
      return [`${name} (${role}) is not among the entries. Correct HOT_ENTRIES of scripts/push/sizes.ts.`];
    }
    const sources = size.biggest.map(({ file, bytes }) => `${file} (${bytes})`).join(", ");
    const over = ([what, bytes]: [string, number]): string[] =>
      bytes > MAX_HOT_BYTES
        ? [`${name} (${role}) has ${bytes} ${what}; ${MAX_HOT_BYTES} are allowed. Import less. Biggest: ${sources}.`]
        : [];
    const strangers = Object.keys(size.libraries).filter((library) => HOT_LIBRARIES[name]?.[library] === undefined);
    return [
      ...over(["own bytes", size.own]),
      ...over(["bytes alone and minified", size.alone]),
      ...strangers.map((library) => `${name} (${role}) loads ${library} with every call. Import less.`),
    ];
  });
}

export function table({ baseline, entries }: Sizes): string {
  const head = ["entry", "emitted", "convex", "libraries", "own", "alone, minified", ""];
  const row = ({ entry, emitted, convex, libraries, own, alone }: EntrySize, note: string): string[] => [
    entry,
    ...[emitted, convex, sum(Object.values(libraries)), own, alone].map((bytes) => bytes.toLocaleString("en-US")),
    note,
  ];
  const rows = [
    head,
    row(baseline, "an empty function, for comparison"),
    ...entries.map((size) => {
      const role = HOT_ENTRIES[size.entry];
      return row(size, role === undefined ? "" : `hot: ${role}`);
    }),
  ];
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || column === head.length - 1 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  return rows.map(line).join("\n");
}
