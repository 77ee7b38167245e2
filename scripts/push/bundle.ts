/**
 * Bundles an app and every component it uses as `npx convex deploy` does, up to the request of the push.
 *
 * Owns: driving the CLI's bundler, and turning what makes it stop into problems. Each directory is bundled by itself, so
 * one that does not bundle leaves the others to be checked.
 * The CLI reads the working directory: the process must be in the app's root (worker.ts).
 */
import path from "node:path";
import type { BuildOptions, Message, Metafile } from "esbuild";
import type { BundledModule, CliBundler, CliContext, ComponentDirectory } from "./cliBundler.js";
import type { Findings } from "./problems.js";

export type BundledDirectory = {
  /** As messages name it: relative to the app's root, or to the package for a component of a package. */
  label: string;
  dir: string;
  isRoot: boolean;
  /** Identifies the component in definitions: "" is the app. */
  definitionPath: string;
  /** Package name or path by which another definition imports it. */
  importSpecifier: string | undefined;
  definition: BundledModule | null;
  /** Source file of `definition`; its source map is relative to it. */
  definitionFile: string;
  schema: BundledModule | null;
  functions: BundledModule[];
  metafile: Metafile | null;
};

/** The CLI has stopped; what it said is in the findings already or in `printed`. */
class Stopped extends Error {
  readonly printed: string | null;

  constructor(printed: string | null) {
    super(printed ?? "The Convex CLI's bundler stopped.");
    this.printed = printed;
  }
}

/** Problems of the app are told by paths from its root; those of a package by paths from node_modules. */
export function labelOf(root: string, file: string): string {
  const inPackage = file.match(/.*\/node_modules\/(.*)$/)?.[1];
  return inPackage ?? path.relative(root, file);
}

export async function bundleApp(cli: CliBundler, root: string, findings: Findings): Promise<BundledDirectory[]> {
  const ctx: CliContext = {
    fs: cli.nodeFs,
    crash: ({ printedMessage }) => Promise.reject(new Stopped(printedMessage)),
  };
  const bundling = new Bundling(cli, ctx, root, findings);
  const { build } = cli.esbuildSession;
  // esbuild takes its working directory when it is loaded; the CLI is always loaded where it works.
  cli.esbuildSession.build = async (options: BuildOptions) => {
    try {
      return await build({ absWorkingDir: root, ...options, logLevel: "silent" });
    } catch (error) {
      bundling.report((error as { errors?: Message[] }).errors ?? []);
      throw error;
    }
  };
  try {
    return await bundling.run();
  } finally {
    cli.esbuildSession.build = build;
  }
}

class Bundling {
  private readonly cli: CliBundler;
  private readonly ctx: CliContext;
  private readonly root: string;
  private readonly findings: Findings;

  constructor(cli: CliBundler, ctx: CliContext, root: string, findings: Findings) {
    this.cli = cli;
    this.ctx = ctx;
    this.root = root;
    this.findings = findings;
  }

  async run(): Promise<BundledDirectory[]> {
    const found = this.cli.isComponentDirectory(this.ctx, "convex", true);
    if (found.kind === "err") throw new Error(`${this.root} is not a Convex app: ${found.why}.`);
    const app = found.component;
    const graph = await this.attempt(app, () => this.cli.componentGraph(this.ctx, this.root, app, false, false));
    const directories = [...(graph?.components.values() ?? [app])];
    const definitions = await this.definitions(app, directories, graph?.dependencyGraph);
    const bundled: BundledDirectory[] = [];
    for (const directory of directories) {
      const definitionPath = this.cli.toComponentDefinitionPath(app, directory);
      bundled.push({
        label: labelOf(this.root, directory.path),
        dir: directory.path,
        isRoot: definitionPath === "",
        definitionPath,
        importSpecifier: directory.importSpecifier,
        definition: definitions.get(definitionPath) ?? null,
        definitionFile: directory.definitionPath,
        ...(await this.implementation(app, directory)),
      });
    }
    return bundled;
  }

  private async definitions(
    app: ComponentDirectory,
    directories: ComponentDirectory[],
    edges: Array<[ComponentDirectory, ComponentDirectory]> | undefined,
  ): Promise<Map<string, BundledModule>> {
    if (edges === undefined) return new Map();
    const specs = await this.attempt(app, () =>
      this.cli.bundleDefinitions(this.ctx, this.root, edges, app, directories, false),
    );
    if (specs === undefined) return new Map();
    return new Map([
      ["", specs.appDefinitionSpecWithoutImpls.definition],
      ...specs.componentDefinitionSpecsWithoutImpls.map(
        ({ definitionPath, definition }) => [definitionPath, definition] as const,
      ),
    ]);
  }

  private async implementation(
    app: ComponentDirectory,
    directory: ComponentDirectory,
  ): Promise<Pick<BundledDirectory, "schema" | "functions" | "metafile">> {
    const isRoot = directory.path === app.path;
    const result = await this.attempt(directory, () =>
      this.cli.bundleImplementations({
        ctx: this.ctx,
        // An app that stands for one component only, as with the CLI's --component-dir, has no functions to bundle.
        rootComponentDirectory: isRoot ? app : { ...app, syntheticComponentImport: directory.definitionPath },
        componentDirectories: isRoot ? [] : [directory],
        nodeExternalPackages: [],
        extraConditions: [],
        verbose: false,
      }),
    );
    if (result === undefined) return { schema: null, functions: [], metafile: null };
    const { schema, functions } = isRoot
      ? result.appImplementation
      : (result.componentImplementations[0] ?? result.appImplementation);
    const metafile = result.buildDebugInfos.find(({ kind }) => kind === "convex")?.metafile ?? null;
    return { schema, functions, metafile };
  }

  /** Undefined when the CLI stopped, which is then a problem. */
  private async attempt<T>(directory: ComponentDirectory, run: () => Promise<T>): Promise<T | undefined> {
    const before = this.findings.problems.length;
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const isReported = this.findings.problems.length > before;
      if (error.printed?.includes(`"use node" directive is not supported in components`) === true) {
        await this.reportUseNode(directory);
      } else if (!isReported) {
        const message = (error.printed ?? error.message).trim();
        this.findings.problem("BUNDLER", labelOf(this.root, directory.path), message, "Do what the Convex CLI says.");
      }
      return undefined;
    }
  }

  private async reportUseNode(directory: ComponentDirectory): Promise<void> {
    const { node } = await this.cli.entryPointsByEnvironment(this.ctx, directory.path);
    for (const file of node) {
      this.findings.problem(
        "USE_NODE",
        labelOf(this.root, file),
        `The file has "use node", which a component cannot have.`,
        "Remove the directive, or move the code to the app.",
      );
    }
  }

  report(errors: Message[]): void {
    for (const { text, location, notes } of errors) {
      const at =
        location === null ? "" : `${labelOf(this.root, path.resolve(this.root, location.file))}:${location.line}`;
      const specifier = text.match(/^Could not resolve "(.*)"$/)?.[1];
      if (specifier === undefined) {
        this.findings.problem("BUNDLE_FAILED", at, text, "Correct the source.");
      } else if (notes.some((note) => note.text.includes("Are you trying to bundle for node?"))) {
        this.findings.problem(
          "NODE_BUILTIN",
          at,
          `It imports the Node built-in "${specifier}", which Convex's own runtime does not have.`,
          `Do without it; in an app, an action may move to a file with "use node".`,
        );
      } else {
        this.findings.problem(
          "UNRESOLVED_IMPORT",
          at,
          `It imports "${specifier}", which is not there.`,
          "Correct the path, or add the package to the dependencies.",
        );
      }
    }
  }
}
