/**
 * The text of the generated files, equal byte for byte to what `npx convex codegen` writes.
 *
 * The templates that can be imported come from the installed `convex` package, so they follow its version. Its
 * `component_api` and `dataModel` templates import the CLI's bundle and cannot; their text is repeated here.
 * Guarded by test/meta/codegen.test.ts against the generated files of published components.
 */
import path from "node:path";
import { pathToFileURL } from "node:url";
import * as prettier from "prettier";
import { REPO_ROOT, type ChildComponent, type EnvVar, type PublicFunction, type ValidatorJson } from "./analysis.js";

const TEMPLATES = "node_modules/convex/dist/esm/cli/codegen_templates";

/** The CLI's templates have no types and no package export: this is the one place that states their signatures. */
async function template<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(path.join(REPO_ROOT, TEMPLATES, `${name}.js`)).href)) as T;
}
const { header, apiComment, compareStrings, compareModulePaths } = await template<{
  header: (description: string) => string;
  apiComment: (apiName: string, type: string | undefined) => string;
  compareStrings: (a: string, b: string) => number;
  compareModulePaths: (a: string, b: string) => number;
}>("common");
const { importPath, moduleIdentifier } = await template<{
  importPath: (modulePath: string) => string;
  moduleIdentifier: (modulePath: string) => string;
}>("api");
const { validatorToType } = await template<{
  validatorToType: (validator: ValidatorJson, useIdType: boolean) => string;
}>("validator_helpers");
const { componentServerTS } = await template<{
  componentServerTS: (isRoot: boolean, envVars: EnvVar[]) => string;
}>("component_server");
const { serverCodegen } = await template<{
  serverCodegen: (options: { useTypeScript: false; envVars: EnvVar[] }) => { DTS: string; JS: string };
}>("server");

/** Formats as the CLI does: Prettier's defaults, whatever this repository's own style is. */
export function format(source: string): Promise<string> {
  return prettier.format(source, { parser: "typescript" });
}

export const componentServer = (envVars: EnvVar[]): string => componentServerTS(false, envVars);

export function hostServer(envVars: EnvVar[]): { types: string; code: string } {
  const { DTS, JS } = serverCodegen({ useTypeScript: false, envVars });
  return { types: DTS, code: JS };
}

/** `_generated/api.ts` of a component. */
export function componentApi(modules: string[], children: ChildComponent[]): string {
  return [
    header("Generated `api` utility."),
    moduleImports(modules),
    `
    import type {
      ApiFromModules,
      FilterApi,
      FunctionReference,
    } from "convex/server";
    import { anyApi, componentsGeneric } from "convex/server";

    const fullApi: ApiFromModules<{`,
    moduleTypes(modules),
    `}> = anyApi as any;
    ${apiComment("api", "public")}
    export const api: FilterApi<typeof fullApi, FunctionReference<any, "public">> = anyApi as any;
    ${apiComment("internal", "internal")}
    export const internal: FilterApi<typeof fullApi, FunctionReference<any, "internal">> = anyApi as any;

    export const components = componentsGeneric() as unknown as {`,
    childTypes(children),
    "};",
  ].join("\n");
}

/** `_generated/api.d.ts` and `api.js` of an app. */
export function hostApi(modules: string[], children: ChildComponent[]): { types: string; code: string } {
  const types = [
    header("Generated `api` utility."),
    moduleImports(modules),
    `
    import type {
      ApiFromModules,
      FilterApi,
      FunctionReference,
    } from "convex/server";

    declare const fullApi: ApiFromModules<{`,
    moduleTypes(modules),
    `}>;
    ${apiComment("api", "public")}
    export declare const api: FilterApi<typeof fullApi, FunctionReference<any, "public">>;
    ${apiComment("internal", "internal")}
    export declare const internal: FilterApi<typeof fullApi, FunctionReference<any, "internal">>;

    export declare const components: {`,
    childTypes(children),
    "};",
  ].join("\n");
  const code = `${header("Generated `api` utility.")}
    import { anyApi, componentsGeneric } from "convex/server";

    ${apiComment("api", undefined)}
    export const api = anyApi;
    export const internal = anyApi;
    export const components = componentsGeneric();
  `;
  return { types, code };
}

const sortedModules = (modules: string[]): string[] => [...modules].sort(compareModulePaths);

function moduleImports(modules: string[]): string {
  return sortedModules(modules)
    .map((module) => `import type * as ${moduleIdentifier(module)} from "../${importPath(module)}.js";`)
    .join("\n");
}

function moduleTypes(modules: string[]): string {
  return sortedModules(modules)
    .map((module) => `"${importPath(module)}": typeof ${moduleIdentifier(module)},`)
    .join("\n");
}

function childTypes(children: ChildComponent[]): string {
  return children
    .map(({ name, importSpecifier }) => {
      const api = `import("${importSpecifier}/_generated/component.js").ComponentApi<"${name}">`;
      return `"${name}": ${api},`;
    })
    .join("\n");
}

type ApiTree = Map<string, ApiTree | PublicFunction>;

/** `_generated/component.ts`: the component's public functions as its app sees them. */
export function componentTypes(functions: PublicFunction[]): string {
  const root: ApiTree = new Map();
  for (const fn of functions) {
    let branch = root;
    for (const segment of fn.module.split("/")) {
      const existing = branch.get(segment) ?? new Map<string, ApiTree | PublicFunction>();
      if (!(existing instanceof Map)) throw new Error(`${fn.module} is both a module and a function.`);
      branch.set(segment, existing);
      branch = existing;
    }
    branch.set(fn.name, fn);
  }
  return [
    header("Generated `ComponentApi` utility."),
    `
    import type { FunctionReference } from "convex/server";

    /**
    * A utility for referencing a Convex component's exposed API.
    *
    * Useful when expecting a parameter like \`components.myComponent\`.
    * Usage:
    * \`\`\`ts
    * async function myFunction(ctx: QueryCtx, component: ComponentApi) {
    *   return ctx.runQuery(component.someFile.someQuery, { ...args });
    * }
    * \`\`\`
    */
    export type ComponentApi<Name extends string | undefined = string | undefined> = `,
    apiTreeType(root),
    ";",
  ].join("\n");
}

function apiTreeType(tree: ApiTree): string {
  const members = [...tree]
    .sort(([a], [b]) => compareStrings(a, b))
    .map(([name, node]) => `${name}: ${node instanceof Map ? apiTreeType(node) : functionType(node)},`);
  return `{\n${members.join("\n")}\n}`;
}

function functionType({ kind, args, returns }: PublicFunction): string {
  return `FunctionReference<"${kind}", "internal", ${validatorType(args)}, ${validatorType(returns)}, Name>`;
}

function validatorType(validator: ValidatorJson | null): string {
  return validator === null ? "any" : validatorToType(withSortedFields(validator), false);
}

/** The backend keeps object fields in a map sorted by code unit; `exportArgs()` keeps the order of the source. */
function withSortedFields(validator: ValidatorJson): ValidatorJson {
  switch (validator.type) {
    case "object": {
      const names = Object.keys(validator.value).sort();
      const fields = names.map((name) => {
        const field = validator.value[name];
        if (field === undefined) throw new Error(`Object validator lost its field ${name}.`);
        return [name, { ...field, fieldType: withSortedFields(field.fieldType) }];
      });
      return { ...validator, value: Object.fromEntries(fields) };
    }
    case "array":
      return { ...validator, value: withSortedFields(validator.value) };
    case "union":
      return { ...validator, value: validator.value.map(withSortedFields) };
    case "record":
      return { ...validator, values: { ...validator.values, fieldType: withSortedFields(validator.values.fieldType) } };
    default:
      return validator;
  }
}

/** `_generated/dataModel.ts` of a directory with a schema.ts. */
export function dataModel(): string {
  return `
  ${header("Generated data model types.")}
  import type { DataModelFromSchemaDefinition, DocumentByName, TableNamesInDataModel, SystemTableNames } from "convex/server";
  import type { GenericId } from "convex/values";
  import schema from "../schema.js";

  /**
   * The names of all of your Convex tables.
   */
  export type TableNames = TableNamesInDataModel<DataModel>;

  /**
   * The type of a document stored in Convex.
   *
   * @typeParam TableName - A string literal type of the table name (like "users").
   */
  export type Doc<TableName extends TableNames> = DocumentByName<DataModel, TableName>;

  /**
   * An identifier for a document in Convex.
   *
   * Convex documents are uniquely identified by their \`Id\`, which is accessible
   * on the \`_id\` field. To learn more, see [Document IDs](https://docs.convex.dev/using/document-ids).
   *
   * Documents can be loaded using \`db.get(tableName, id)\` in query and mutation functions.
   *
   * IDs are just strings at runtime, but this type can be used to distinguish them from other
   * strings when type checking.
   *
   * @typeParam TableName - A string literal type of the table name (like "users").
   */
  export type Id<TableName extends TableNames | SystemTableNames> = GenericId<TableName>;

  /**
   * A type describing your Convex data model.
   *
   * This type includes information about what tables you have, the type of
   * documents stored in those tables, and the indexes defined on them.
   *
   * This type is used to parameterize methods like \`queryGeneric\` and
   * \`mutationGeneric\` to make them type-safe.
   */
  export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
  `;
}
