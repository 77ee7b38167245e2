/**
 * Which folder may import what: the layers of docs/architecture.md as data, and the ESLint rule that enforces them.
 *
 * A zone says what its files may import. The first zone that matches a file counts; below src/ every file needs one.
 * Targets are package specifiers or, for relative imports, paths from the repository root with the extension `.js`.
 */
import path from "node:path";

const under = (folder) => new RegExp(`^${folder}/`);
const pkg = (name) => new RegExp(`^${name}(/|$)`);

const SHARED = under("src/shared");
const ENGINE = under("src/engine");
const WALKER = under("src/walker");
const MODELS = under("src/models");
const COMPONENT = under("src/component");
const CLIENT = under("src/client");
const CLI = under("src/cli");
const CONVEX = pkg("convex");
const MODEL_SDKS = [pkg("ai"), under("@ai-sdk")];

/** Convex evaluates a module afresh on every call: only these may pull in parsers and schema libraries. */
const COLD_MODULES = /^src\/component\/(definitions|transfer|health|compile|model\/publishing)\.ts$/;
/** The only ones that may pull in the walker and, with it, model SDKs. */
const STRETCH_MODULES = /^src\/component\/stretch\.ts$/;
const HEAVY = [
  WALKER,
  /^src\/engine\/(expr|definition)(\/|\.js$)/,
  /^src\/component\/(definitions|transfer|health|compile|stretch|model\/publishing)\.js$/,
];
const COMPONENT_PACKAGES = [CONVEX, pkg("convex-helpers"), pkg("@convex-dev/workflow"), pkg("@convex-dev/workpool")];

export const ZONES = [
  { name: "src/shared", files: SHARED, may: [/^convex\/values$/, SHARED] },
  {
    name: "src/engine",
    files: ENGINE,
    may: [SHARED, ENGINE, pkg("@marcbachmann/cel-js"), pkg("@cfworker/json-schema"), pkg("zod")],
  },
  { name: "src/walker", files: WALKER, may: [SHARED, ENGINE, WALKER] },
  { name: "src/models", files: MODELS, may: [SHARED, /^src\/engine\/jsonSchema/, MODELS, ...MODEL_SDKS] },
  // Validators -> schema -> functions: a schema that imports a function's module would be a cycle.
  { name: "the schema", files: /^src\/component\/schema\.ts$/, may: [SHARED, CONVEX, pkg("convex-helpers")] },
  {
    name: "the actions that run stretches",
    files: STRETCH_MODULES,
    may: [SHARED, ENGINE, WALKER, MODELS, COMPONENT, ...COMPONENT_PACKAGES],
  },
  {
    name: "modules that compile definitions",
    files: COLD_MODULES,
    // Only the names of the configured providers; their SDKs stay in the stretch.
    may: [SHARED, ENGINE, /^src\/models\/config\.js$/, COMPONENT, ...COMPONENT_PACKAGES],
  },
  {
    name: "a hot module of the component",
    files: COMPONENT,
    may: [SHARED, ENGINE, COMPONENT, ...COMPONENT_PACKAGES],
    mayNot: HEAVY,
    mayAsType: HEAVY,
  },
  {
    name: "src/client",
    files: CLIENT,
    may: [SHARED, CLIENT, CONVEX],
    mayAsType: [/^src\/component\/_generated\/component\.js$/],
  },
  {
    name: "src/cli",
    files: CLI,
    // What it runs of the component it loads as a deployment would: from the built files, not by import.
    may: [SHARED, ENGINE, CLIENT, CLI, CONVEX, pkg("convex-test"), /^node:/],
  },
  {
    name: "src/test.ts",
    files: /^src\/test\.ts$/,
    may: [SHARED, COMPONENT, CONVEX, pkg("convex-test"), /^@convex-dev\/(workflow|workpool|batch-worker)\/test$/],
  },
  {
    name: "the simulator",
    files: under("simulator"),
    // Written so that it could be published alone.
    may: [/./],
    mayNot: [under("src"), under("test"), under("demo"), /^convex\/.+\.js$/, ...MODEL_SDKS],
  },
  { name: "tests of models", files: under("test/models"), may: [/./] },
  {
    name: "a user of the package",
    files: /^(convex|demo|stress-tests)\//,
    may: [/./],
    mayNot: [under("src"), ...MODEL_SDKS],
  },
  { name: "files outside of src/models", files: /./, may: [/./], mayNot: MODEL_SDKS },
];

/** Why an import is refused, or null. `file` and `target` are as described above. */
export function refusal(file, target, isTypeOnly) {
  const zone = ZONES.find(({ files }) => files.test(file));
  const { name, may, mayNot = [], mayAsType = [] } = zone;
  if (file.startsWith("src/") && !zone.files.source.startsWith("^src")) {
    return `${file} is in no zone of scripts/lint/boundaries.js. Add one.`;
  }
  const matches = (patterns) => patterns.some((pattern) => pattern.test(target));
  if (isTypeOnly && matches(mayAsType)) return null;
  if (matches(may) && !matches(mayNot)) return null;
  const hint = matches(mayAsType) ? " It may be imported with `import type`." : "";
  return `${name} may not import ${target}.${hint} See the layers in docs/architecture.md.`;
}

export const boundaries = {
  meta: { type: "problem", schema: [], messages: { refused: "{{reason}}" } },
  create(context) {
    const posix = (file) => file.split(path.sep).join("/");
    const file = posix(path.relative(context.cwd, context.filename));

    const check = (node, source, isTypeOnly) => {
      if (typeof source?.value !== "string") return;
      const specifier = source.value;
      const target = specifier.startsWith(".") ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
      const reason = refusal(file, target, isTypeOnly);
      if (reason !== null) context.report({ node, messageId: "refused", data: { reason } });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source, node.importKind === "type"),
      ExportAllDeclaration: (node) => check(node, node.source, node.exportKind === "type"),
      ExportNamedDeclaration: (node) => check(node, node.source, node.exportKind === "type"),
      ImportExpression: (node) => check(node, node.source, false),
      TSImportType: (node) => check(node, node.source, true),
    };
  },
};
