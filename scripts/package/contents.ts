/**
 * What may be in the tarball: the build, the sources behind it, and nothing that only works here.
 *
 * Owns: the rules; each is proven to bite by test/package/contents.test.ts.
 */
import path from "node:path";
import ts from "typescript";
import type { Finding } from "./findings.js";
import type { Packed } from "./pack.js";

const MAX_PACKED_BYTES = 1024 * 1024;
const MAX_UNPACKED_BYTES = 5 * 1024 * 1024;

const TOP_LEVEL = new Set(["package.json", "README.md", "LICENSE"]);
/** `convex-shardflow/test`, which is shipped as a source: see its header. */
const TEST_ENTRY = "src/test.ts";
const TEST_FILE = /(^|\/)(__tests__|tests?|fixtures?)(\/|\.[jt]s$)|\.(test|spec)(-d)?\.[jt]s$/;
const PRIVATE_FILE = /(^|\/)(\.env|\.npmrc|\.git)|\.(pem|key|p12)$/;
const SECRETS = [
  /\bsk-(ant-|proj-)?[A-Za-z0-9_-]{20,}/,
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{30,}/,
  /\bnpm_[A-Za-z0-9]{30,}/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
];
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

type Problem = [where: string, message: string];
type Rule = (packed: Packed) => Problem[];

const RULES: Record<string, Rule> = {
  "unexpected-file": ({ files }) =>
    Object.keys(files)
      .filter((file) => !TOP_LEVEL.has(file) && !/^(dist|src)\//.test(file))
      .map((file) => [file, "It is neither built nor a source. Leave it out of `files`."]),

  "test-file": ({ files }) =>
    Object.keys(files)
      .filter((file) => TEST_FILE.test(file) && file !== TEST_ENTRY)
      .map((file) => [file, "Tests and fixtures are of no use to those who install the package."]),

  "private-file": ({ files }) =>
    Object.keys(files)
      .filter((file) => PRIVATE_FILE.test(file))
      .map((file) => [file, "It belongs to one machine or one person."]),

  secret: ({ files }) =>
    Object.entries(files)
      .filter(([, text]) => SECRETS.some((pattern) => pattern.test(text)))
      .map(([file]) => [file, "It holds what looks like a secret."]),

  "source-map": ({ files }) =>
    Object.entries(files).flatMap(([file, text]) =>
      file.endsWith(".map")
        ? missingSources(file, text, files).map((at): Problem => [file, `Its source ${at} is not packed.`])
        : [],
    ),

  "missing-map": ({ files }) =>
    Object.entries(files).flatMap(([file, text]) => {
      const map = /^\/\/# sourceMappingURL=(.+)$/m.exec(text)?.[1];
      const at = map === undefined ? undefined : path.posix.join(path.posix.dirname(file), map);
      return at === undefined || !file.startsWith("dist/") || at in files
        ? []
        : [[file, `Its map ${at} is not packed.`]];
    }),

  import: ({ files, manifest }) =>
    Object.entries(files).flatMap(([file, text]) =>
      file.endsWith(".js") || file === TEST_ENTRY ? badImports(file, text, files, manifest) : [],
    ),

  bin: ({ files, manifest }) =>
    Object.values(manifest.bin).flatMap((target) => {
      const text = files[path.posix.normalize(target)];
      if (text === undefined) return [[target, "The program is not packed."]];
      return text.startsWith("#!/usr/bin/env node\n") ? [] : [[target, "It must begin with `#!/usr/bin/env node`."]];
    }),

  "install-script": ({ files, manifest }) => [
    ...INSTALL_SCRIPTS.filter((name) => name in manifest.scripts).map((name): Problem => [
      `scripts.${name}`,
      "Installing the package must not run code.",
    ]),
    ...("binding.gyp" in files ? ([["binding.gyp", "npm would compile it."]] as Problem[]) : []),
  ],

  size: ({ size, files }) => {
    const unpacked = Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    const over = (name: string, bytes: number, max: number): Problem[] =>
      bytes > max ? [[name, `It has ${bytes} bytes; ${max} are enough.`]] : [];
    return [...over("packed", size, MAX_PACKED_BYTES), ...over("unpacked", unpacked, MAX_UNPACKED_BYTES)];
  },
};

export function checkContents(packed: Packed): Finding[] {
  return Object.entries(RULES).flatMap(([code, rule]) =>
    rule(packed).map(([where, message]): Finding => ({ tool: "contents", code, where, message })),
  );
}

function missingSources(file: string, text: string, files: Packed["files"]): string[] {
  const { sources, sourceRoot = "" } = JSON.parse(text) as { sources: string[]; sourceRoot?: string };
  return sources
    .map((source) => path.posix.join(path.posix.dirname(file), sourceRoot, source))
    .filter((source) => !(source in files));
}

/** Relative imports lead to packed files, all others to what is installed together with the package. */
function badImports(
  file: string,
  text: string,
  files: Packed["files"],
  { dependencies, peerDependencies }: Packed["manifest"],
): Problem[] {
  const imported = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
  return imported.flatMap((specifier): Problem[] => {
    if (specifier.startsWith(".")) {
      const target = path.posix.join(path.posix.dirname(file), specifier);
      const isPacked = target in files || target.replace(/\.js$/, ".ts") in files;
      return isPacked ? [] : [[file, `It imports ${specifier}, which is not packed.`]];
    }
    if (specifier.startsWith("node:")) {
      return file.startsWith("dist/cli/")
        ? []
        : [[file, `It imports ${specifier}, which Convex's runtime does not have.`]];
    }
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    const isInstalled = name in dependencies || name in peerDependencies;
    return isInstalled ? [] : [[file, `It imports ${specifier}, but ${name} is no dependency.`]];
  });
}
