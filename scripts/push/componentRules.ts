/**
 * Rules of definitions: evaluates every `convex.config` with its children as the backend hands them out, and checks the
 * tree of components: names, environment, mounts.
 */
import type { EnvVar, ValidatorJson } from "../codegen/analysis.js";
import type { BundledDirectory } from "./bundle.js";
import { reportEffects, reportFailure } from "./importRules.js";
import { BundledModules } from "./modules.js";
import { faultOfIdentifier } from "./names.js";
import type { Findings } from "./problems.js";

type Child = {
  name: string;
  path: string;
  env: Array<[string, { type: "value"; value: string } | { type: "envVar"; name: string }]> | null;
};

type Exported = {
  definitionType: { type: "app" } | { type: "childComponent"; name: string };
  childComponents: Child[];
  httpMounts: Record<string, string>;
  envVars?: EnvVar[];
};

export type Definitions = Map<string, Exported>;

const importPath = (definitionPath: string): string =>
  `./_componentDeps/${Buffer.from(definitionPath).toString("base64url")}`;

const fileOf = ({ label, definitionFile }: BundledDirectory): string =>
  `${label}/${definitionFile.replace(/.*\//, "")}`;

/** By definition path. `definitions` that do not evaluate are problems, and missing in the answer. */
export async function checkDefinitions(
  directories: BundledDirectory[],
  root: string,
  findings: Findings,
): Promise<Definitions> {
  const definitions: Definitions = new Map();
  const children: Record<string, Record<string, unknown>> = {};
  const handOut = ({ definitionPath }: BundledDirectory, defaultName: string): void => {
    children[importPath(definitionPath)] = { default: { componentDefinitionPath: definitionPath, defaultName } };
  };
  // The name by which a parent calls a child that it gives no name is the child's own: children come first.
  for (const directory of childrenFirst(directories)) {
    const exported = await evaluate(directory, root, children, findings);
    if (exported !== null) definitions.set(directory.definitionPath, exported);
    handOut(directory, exported?.definitionType.type === "childComponent" ? exported.definitionType.name : "unknown");
  }
  for (const directory of directories) {
    const exported = definitions.get(directory.definitionPath);
    if (exported !== undefined) checkDefinition(exported, directory, definitions, findings);
  }
  return definitions;
}

function childrenFirst(directories: BundledDirectory[]): BundledDirectory[] {
  const ordered: BundledDirectory[] = [];
  const visit = (directory: BundledDirectory, above: BundledDirectory[]): void => {
    if (ordered.includes(directory) || above.includes(directory)) return;
    for (const other of directories) {
      if (directory.definition?.source.includes(`"${importPath(other.definitionPath)}"`) === true)
        visit(other, [...above, directory]);
    }
    ordered.push(directory);
  };
  for (const directory of directories) visit(directory, []);
  return ordered;
}

async function evaluate(
  directory: BundledDirectory,
  root: string,
  children: Record<string, Record<string, unknown>>,
  findings: Findings,
): Promise<Exported | null> {
  if (directory.definition === null) return null;
  const where = fileOf(directory);
  const modules = new BundledModules([directory.definition], directory.dir, children);
  const loaded = await modules.import(directory.definition.path);
  reportEffects(modules.effects, { root, where, isEnvGiven: false }, findings);
  if (!loaded.ok) {
    reportFailure(loaded, modules.effects, { root, where }, findings);
    return null;
  }
  const definition = loaded.exports["default"] as { export?: () => Exported } | undefined;
  const wanted = directory.isRoot ? "defineApp" : "defineComponent";
  try {
    if (typeof definition?.export !== "function") throw new Error("Its default export is no definition.");
    // Plain data, out of the realm it was made in.
    const exported = JSON.parse(JSON.stringify(definition.export())) as Exported;
    if ((exported.definitionType.type === "app") !== directory.isRoot)
      throw new Error("Its default export is of the wrong kind.");
    return exported;
  } catch (error) {
    findings.problem("DEFINITION", where, (error as Error).message, `Export what \`${wanted}\` returns as default.`);
    return null;
  }
}

function checkDefinition(
  exported: Exported,
  directory: BundledDirectory,
  definitions: Definitions,
  findings: Findings,
): void {
  const where = fileOf(directory);
  if (exported.definitionType.type === "childComponent") {
    const fault = faultOfIdentifier(exported.definitionType.name);
    const name = `The component's name "${exported.definitionType.name}"`;
    if (fault !== null) findings.problem("COMPONENT_NAME", where, `${name} ${fault}.`, "Rename it.");
  }
  for (const [name] of exported.envVars ?? []) {
    const fault = faultOfIdentifier(name);
    if (fault !== null) findings.problem("ENV_NAME", where, `The variable's name "${name}" ${fault}.`, "Rename it.");
  }
  const names = new Set<string>();
  for (const child of exported.childComponents) {
    const fault = faultOfIdentifier(child.name);
    if (fault !== null)
      findings.problem(
        "COMPONENT_NAME",
        where,
        `The child's name "${child.name}" ${fault}.`,
        "Give it another with `{ name }`.",
      );
    if (names.has(child.name)) {
      const message = `Two child components have the name "${child.name}".`;
      findings.problem("COMPONENT_DUPLICATE", where, message, "Give one of them another with `{ name }`.");
    }
    names.add(child.name);
    checkEnv(child, definitions.get(child.path)?.envVars ?? [], where, findings);
  }
}

function checkEnv(child: Child, declared: EnvVar[], where: string, findings: Findings): void {
  const bound = new Map(child.env ?? []);
  for (const [name, { optional, value: validator }] of declared) {
    const binding = bound.get(name);
    bound.delete(name);
    if (binding === undefined && optional !== true) {
      const message = `The component "${child.name}" requires the variable ${name}, which it is not given.`;
      findings.problem("ENV_MISSING", where, message, `Give it: \`use(component, { env: { ${name}: ... } })\`.`);
    } else if (binding?.type === "value" && !accepts(JSON.parse(validator) as ValidatorJson, binding.value)) {
      const message = `The component "${child.name}" does not take "${binding.value}" as ${name}.`;
      findings.problem("ENV_VALUE", where, message, `Its validator is ${validator}.`);
    }
  }
  for (const name of bound.keys()) {
    const message = `The component "${child.name}" is given the variable ${name}, which it does not declare.`;
    findings.problem("ENV_UNKNOWN", where, message, "Leave it out, or declare it in the component's `env`.");
  }
}

function accepts(validator: ValidatorJson, value: string): boolean {
  if (validator.type === "literal") return validator.value === value;
  return validator.type !== "union" || validator.value.some((member) => accepts(member, value));
}

/** A component that is mounted under a path must have routes. */
export function checkMounts(definitions: Definitions, directories: BundledDirectory[], findings: Findings): void {
  for (const directory of directories) {
    const exported = definitions.get(directory.definitionPath);
    for (const [mount, reference] of Object.entries(exported?.httpMounts ?? {})) {
      const child = exported?.childComponents.find(({ name }) => reference === `_reference/childComponent/${name}`);
      const target = directories.find(({ definitionPath }) => definitionPath === child?.path);
      // One that did not bundle has no modules, for a reason that is told already.
      if (target === undefined || target.metafile === null) continue;
      if (target.functions.some((module) => module.path === "http.js")) continue;
      findings.problem(
        "HTTP_MOUNT",
        fileOf(directory),
        `The component "${child?.name ?? ""}" is mounted at ${mount} and has no http.ts.`,
        "Leave out `httpPrefix`.",
      );
    }
  }
}
