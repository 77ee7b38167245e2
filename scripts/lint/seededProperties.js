/**
 * ESLint rule: every run of fast-check names its seed, so a failure is the same failure for everyone.
 *
 * The parameters must be an object literal with `seed`, written in the call or in a `const` of the same file.
 */
const RUNNERS = new Set(["assert", "check", "sample", "statistics"]);

const hasSeed = (node) =>
  node?.type === "ObjectExpression" &&
  node.properties.some(({ type, key }) => type === "Property" && (key.name ?? key.value) === "seed");

export const seededProperties = {
  meta: {
    type: "problem",
    schema: [],
    messages: { unseeded: "fc.{{runner}} without a seed: pass `{ seed: <number> }` as its second argument." },
  },
  create(context) {
    const constValue = (identifier) => {
      for (let scope = context.sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
        const definition = scope.set.get(identifier.name)?.defs[0];
        if (definition !== undefined) return definition.parent?.kind === "const" ? definition.node.init : undefined;
      }
      return undefined;
    };
    return {
      "CallExpression[callee.object.name='fc']"(node) {
        const runner = node.callee.property.name;
        if (!RUNNERS.has(runner)) return;
        const given = node.arguments[1];
        const parameters = given?.type === "Identifier" ? constValue(given) : given;
        const unwrapped = parameters?.type === "TSAsExpression" ? parameters.expression : parameters;
        if (!hasSeed(unwrapped)) context.report({ node, messageId: "unseeded", data: { runner } });
      },
    };
  },
};
