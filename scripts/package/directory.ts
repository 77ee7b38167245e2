/**
 * The checks of the Convex component directory, as far as they are known: nine that a component must pass, and those that
 * count for its score. Each returns what is wrong; test/package/directory.test.ts shows that each one bites.
 */
import ts from "typescript";
import {
  functionFiles,
  importsOf,
  parse,
  propertyOf,
  registrationsOf,
  walk,
  type Parsed,
  type Registration,
  type Sources,
} from "./sources.js";

type Component = {
  sources: Sources;
  parsed: Parsed[];
  functions: Registration[];
  manifest: { exports?: Record<string, unknown>; license?: string; keywords?: string[]; description?: string };
};

export type Gate = (component: Component) => string[];

const CONFIG = "src/component/convex.config.ts";
const CLIENT = "src/client/index.ts";
const isGenerated = (module: string | undefined, name: string) =>
  module !== undefined && new RegExp(`^\\./_generated/${name}(\\.js)?$`).test(module);

export const CRITICAL = {
  "defines a component": ({ parsed }) => {
    const config = parsed.find(({ file }) => file === CONFIG);
    if (config === undefined) return [`${CONFIG} is missing.`];
    const { module } = importsOf(config.source).get("defineComponent") ?? {};
    let isNamed = false;
    let isExported = false;
    walk(config.source, (node) => {
      if (ts.isExportAssignment(node)) isExported = true;
      if (!ts.isCallExpression(node) || node.expression.getText() !== "defineComponent") return;
      const [name] = node.arguments;
      isNamed = name !== undefined && ts.isStringLiteral(name);
    });
    const isDefined = module === "convex/server" && isNamed && isExported;
    return isDefined ? [] : [`${CONFIG} must export what defineComponent("name") of convex/server gives.`];
  },

  "exports its configuration and its API": ({ manifest }) =>
    ["./convex.config.js", "./_generated/component.js"]
      .filter((entry) => !(entry in (manifest.exports ?? {})))
      .map((entry) => `package.json has no export ${entry}.`),

  "has functions": ({ functions }) => (functions.length > 0 ? [] : ["src/component has no functions."]),

  "registers functions with its own builders": ({ functions }) =>
    functions
      .filter(({ builderModule }) => !isGenerated(builderModule, "server"))
      .map(({ path, builder }) => `${path}: ${builder} is not from ./_generated/server.`),

  "registers functions as objects": ({ functions }) =>
    functions.filter(({ config }) => config === null).map(({ path }) => `${path}: use {args, returns, handler}.`),

  "validates arguments": ({ functions }) => lacking(functions, "args"),

  "returns null for nothing": ({ functions }) =>
    functions.flatMap(({ path, config }) => {
      const handler = config === null ? undefined : propertyOf(config, "handler");
      if (config === null || handler === undefined || !returnsNothing(handler)) return [];
      return propertyOf(config, "returns")?.getText() === "v.null()" ? [] : [`${path}: returns nothing; use v.null().`];
    }),

  "knows no users": ({ parsed }) =>
    functionFiles(parsed).flatMap(({ file, source }) => {
      const found: string[] = [];
      walk(source, (node) => {
        const isAccess = ts.isPropertyAccessExpression(node) && node.name.text === "auth";
        const isBound = ts.isBindingElement(node) && (node.propertyName ?? node.name).getText() === "auth";
        if (isAccess || isBound) found.push(`${file}: a component has no ctx.auth. The app passes who is asking.`);
      });
      return found;
    }),

  "keeps public and internal apart": ({ parsed, functions }) => {
    const kinds = new Map(functions.map(({ path, builder }) => [path, builder]));
    return functionFiles(parsed).flatMap(({ file, source }) => {
      const found: string[] = [];
      const api = [...importsOf(source)].find(([, { module, name }]) => name === "api" && isGenerated(module, "api"));
      if (api !== undefined) found.push(`${file}: within the component use \`internal\`, not \`api\`.`);
      walk(source, (node) => {
        const target = /^internal\.(\w+\.\w+)$/.exec(ts.isPropertyAccessExpression(node) ? node.getText() : "")?.[1];
        const builder = target === undefined ? undefined : kinds.get(target);
        if (builder === undefined || builder.startsWith("internal")) return;
        found.push(`${file}: ${target} is public, but called as an internal function.`);
      });
      return found;
    });
  },
} satisfies Record<string, Gate>;

export const ADVISORY = {
  "reads by index": ({ parsed }) =>
    functionFiles(parsed).flatMap(({ file, source }) => {
      const found: string[] = [];
      walk(source, (node) => {
        if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
        const { name, expression } = node.expression;
        if (name.text === "filter" && isQuery(expression)) found.push(`${file}: use withIndex instead of filter.`);
      });
      return found;
    }),

  "takes its types from validators": ({ parsed }) =>
    functionFiles(parsed).flatMap(({ file, source }) => {
      const found: string[] = [];
      walk(source, (node) => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${file}: a type is any.`);
        if (ts.isCallExpression(node) && node.expression.getText() === "v.any") found.push(`${file}: uses v.any().`);
      });
      return found;
    }),

  "validates results": ({ functions }) => lacking(functions, "returns"),

  "asks the app who may call what it re-exports": ({ parsed }) => {
    const names = clientExports(parsed);
    const factories = names.filter((name) => /^(expose|make\w*)Api$/.test(name));
    const asks = names.some((name) => /^Authori[sz]e$|^Auth/.test(name));
    return factories.length > 0 && !asks
      ? [`${CLIENT}: ${factories.join()} must take a callback for authorization.`]
      : [];
  },

  "has a client that does nothing on import": ({ parsed }) => {
    const client = parsed.find(({ file }) => file === CLIENT);
    if (client === undefined || clientExports(parsed).length === 0) return [`${CLIENT} exports nothing.`];
    const bad = client.source.statements.filter(
      (statement) => ts.isExpressionStatement(statement) || ts.isIfStatement(statement) || ts.isTryStatement(statement),
    );
    return bad.map((statement) => `${CLIENT}: ${statement.getText()} runs on import.`);
  },

  "offers register for tests": ({ parsed }) => {
    const source = parsed.find(({ file }) => file === "src/test.ts")?.source;
    return source !== undefined && exportedNames(source).includes("register")
      ? []
      : ["src/test.ts exports no register."];
  },

  "can be listed": ({ manifest: { license, keywords = [], description = "" } }) => [
    ...(license === undefined ? ["package.json has no license."] : []),
    ...["convex", "component"].filter((word) => !keywords.includes(word)).map((word) => `No keyword ${word}.`),
    ...(description.length < 10 ? ["The description is too short."] : []),
  ],
} satisfies Record<string, Gate>;

export function checkGate(gate: Gate, sources: Sources): string[] {
  const parsed = parse(sources);
  const functions = functionFiles(parsed).flatMap(registrationsOf);
  return gate({
    sources,
    parsed,
    functions,
    manifest: JSON.parse(sources["package.json"] ?? "{}") as Component["manifest"],
  });
}

const lacking = (functions: Registration[], property: "args" | "returns"): string[] =>
  functions
    .filter(({ config }) => config === null || propertyOf(config, property) === undefined)
    .map(({ path }) => `${path}: no ${property}.`);

/** A handler with a body in which no return has a value; functions inside of it do not count. */
function returnsNothing(handler: ts.Expression): boolean {
  if (!ts.isArrowFunction(handler) && !ts.isFunctionExpression(handler)) return false;
  if (!ts.isBlock(handler.body)) return false;
  let hasValue = false;
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return;
    if (ts.isReturnStatement(node) && node.expression !== undefined) hasValue = true;
    ts.forEachChild(node, visit);
  };
  visit(handler.body);
  return !hasValue;
}

/** Whether a chain of calls begins with `.query(...)`. */
function isQuery(expression: ts.Expression): boolean {
  if (!ts.isCallExpression(expression) || !ts.isPropertyAccessExpression(expression.expression)) return false;
  return expression.expression.name.text === "query" || isQuery(expression.expression.expression);
}

function clientExports(parsed: Parsed[]): string[] {
  const source = parsed.find(({ file }) => file === CLIENT)?.source;
  return source === undefined ? [] : exportedNames(source);
}

function exportedNames(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement)) {
      const clause = statement.exportClause;
      return clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(({ name }) => name.text) : [];
    }
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.map(({ name }) => name.getText());
    const isNamed = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
    return isNamed && statement.name !== undefined ? [statement.name.text] : [];
  });
}
