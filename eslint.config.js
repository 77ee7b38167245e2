/**
 * Lint rules of the whole repository. Each one that is ours is proven to bite by test/meta/lint.test.ts.
 * Flat config replaces a rule's options instead of merging them, so shared lists of restrictions are spread below.
 */
import convexPlugin from "@convex-dev/eslint-plugin";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";
import { boundaries } from "./scripts/lint/boundaries.js";
import { seededProperties } from "./scripts/lint/seededProperties.js";

const convexRules = {
  ...convexPlugin.configs.recommended[0].rules,
  "@convex-dev/no-filter-in-query": "error",
  "@convex-dev/no-top-of-hour-crons": "error",
};

const NO_BARE_ERROR = {
  selector: "ThrowStatement > :matches(NewExpression, CallExpression)[callee.name=/^([A-Z]\\w*)?Error$/]",
  message: "Throw shardflowError(code, { message }): every error that crosses a boundary has a code.",
};

/** Syntax that types cannot simply be stripped from. The compiler's own flag would check our dependencies' sources, too. */
const ERASABLE_SYNTAX = ["TSEnumDeclaration", "TSParameterProperty"].map((selector) => ({
  selector,
  message: "Use a union of literals, or plain fields: the sources must run with their types stripped.",
}));

const NO_AMBIENT_TIME_OR_CHANCE = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: "The core has no clock: take the time as an argument.",
  },
  {
    selector: ":matches(NewExpression[arguments.length=0], CallExpression)[callee.name='Date']",
    message: "The core has no clock: take the time as an argument.",
  },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: "The core has no randomness: take it as an argument.",
  },
  {
    selector: ":matches(:function[async=true], AwaitExpression, ForOfStatement[await=true])",
    message: "The core is synchronous: load first, decide here, apply afterwards.",
  },
];

const NO_UNSEEDED_CHANCE = [
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: "A test must fail the same way for everyone: use fast-check or a generator with a fixed seed.",
  },
  {
    selector:
      ":matches(MemberExpression > Identifier.property, ImportSpecifier > Identifier.imported)[name=/^(random(UUID|Bytes|Int|Fill|FillSync)|getRandomValues)$/]",
    message: "A test must fail the same way for everyone: write the value down or derive it from a fixed seed.",
  },
  {
    selector: "MemberExpression[object.name=/^(it|test|describe)$/][property.name=/^(skip|only|todo)$/]",
    message: "A test runs or does not exist.",
  },
];

export default defineConfig(
  globalIgnores(["dist/", "coverage/", "**/_generated/"]),
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: {
      "@convex-dev": convexPlugin,
      shardflow: { rules: { boundaries, "seeded-properties": seededProperties } },
    },
    rules: {
      "shardflow/boundaries": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrorsIgnorePattern: "^_" },
      ],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // A handler or a test double is async because its contract is, whether it awaits or not.
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "no-restricted-syntax": ["error", NO_BARE_ERROR, ...ERASABLE_SYNTAX],
      "no-restricted-globals": [
        "error",
        { name: "process", message: "Read `env` of _generated/server.js in a handler." },
      ],
    },
  },
  // A program for a terminal: it has a process, and errors for people.
  {
    files: ["src/cli/**/*.ts"],
    rules: { "no-restricted-globals": "off", "no-restricted-syntax": ["error", ...ERASABLE_SYNTAX] },
  },
  {
    files: ["src/shared/**/*.ts", "src/engine/**/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", NO_BARE_ERROR, ...ERASABLE_SYNTAX, ...NO_AMBIENT_TIME_OR_CHANCE],
      "no-restricted-globals": [
        "error",
        ...["console", "process", "performance", "crypto", "fetch", "setTimeout", "setInterval", "queueMicrotask"].map(
          (name) => ({ name, message: "The core has no effects: let the component or the walker do this." }),
        ),
      ],
    },
  },
  { files: ["src/component/**/*.ts", "convex/**/*.ts"], rules: convexRules },
  {
    files: ["test/**/*.ts"],
    rules: {
      "shardflow/seeded-properties": "error",
      "no-restricted-syntax": ["error", ...NO_UNSEEDED_CHANCE],
    },
  },
  // Configuration and lint rules are plain JavaScript outside of tsconfig.json.
  { files: ["**/*.js"], extends: [tseslint.configs.disableTypeChecked] },
);
