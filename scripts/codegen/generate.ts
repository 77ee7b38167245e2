/**
 * From a functions directory to the files of its `_generated` folder, by name.
 *
 * In two steps, because the second one needs sources that bundle: whoever adds a function needs the types of the first
 * one before that is so.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { entryPoints, loadDefinition, loadPublicFunctions } from "./analysis.js";
import { componentApi, componentServer, componentTypes, dataModel, format, hostApi, hostServer } from "./templates.js";

export type GeneratedFiles = Record<string, string>;

export type Generated = {
  /** Derived from file names and convex.config.ts. */
  declared: GeneratedFiles;
  /** Derived from evaluating the modules. */
  evaluate: () => Promise<GeneratedFiles>;
};

/** Files of a component's directory. They are always TypeScript. */
export async function generateComponent(dir: string): Promise<Generated> {
  if (!existsSync(path.join(dir, "convex.config.ts"))) {
    throw new Error(`${dir} is not a component: it has no convex.config.ts with a default export of defineComponent.`);
  }
  assertSchema(dir);
  const { envVars, childComponents } = await loadDefinition(dir);
  const server = componentServer(envVars);
  return {
    declared: await formatAll({
      "api.ts": componentApi(entryPoints(dir), childComponents),
      "dataModel.ts": dataModel(),
      "server.ts": server,
    }),
    evaluate: async () => formatAll({ "component.ts": componentTypes(await loadPublicFunctions(dir, server)) }),
  };
}

/** Files of an app's directory, in the CLI's default form: declarations beside JavaScript. */
export async function generateHost(dir: string): Promise<Generated> {
  assertSchema(dir);
  const { envVars, childComponents } = await loadDefinition(dir);
  const api = hostApi(entryPoints(dir), childComponents);
  const server = hostServer(envVars);
  return {
    declared: await formatAll({
      "api.d.ts": api.types,
      "api.js": api.code,
      "dataModel.d.ts": dataModel(),
      "server.d.ts": server.types,
      "server.js": server.code,
    }),
    evaluate: () => Promise.resolve({}),
  };
}

function assertSchema(dir: string): void {
  if (!existsSync(path.join(dir, "schema.ts"))) {
    throw new Error(`${dir} has no schema.ts. Add one: every table of this project is declared.`);
  }
}

async function formatAll(files: GeneratedFiles): Promise<GeneratedFiles> {
  const formatted: GeneratedFiles = {};
  for (const [name, source] of Object.entries(files)) formatted[name] = await format(source);
  return formatted;
}
