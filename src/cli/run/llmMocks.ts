/**
 * The `llm` part of a MOCKS file: what the models of single nodes answer.
 *
 * Owns: its format. Invariant: an object whose fields begin with `$` is one of the explicit forms or a problem; a
 * misspelt form is never sent as an answer.
 */
import type { Path } from "../../engine/definition/problems.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import { didYouMean, expected, readObject, type Report } from "./problems.js";

export type Answer = { text: string } | { status: number; message: string; code?: string; retryAfter?: number };
export type LlmMock =
  /** One for each request; the last one is repeated. */
  | { kind: "list"; answers: Answer[] }
  /** The first one that matches the prompt. */
  | { kind: "patterns"; patterns: Array<{ match: RegExp; answer: Answer }> };

const FORMS = ["$text", "$json", "$error"];

export function readLlmMock(value: Json, path: Path, report: Report): LlmMock | null {
  if (Array.isArray(value)) {
    if (value.length === 0) report(path, "the list holds no answer.");
    return { kind: "list", answers: value.map((one, i) => readAnswer(one, [...path, i], report)) };
  }
  if (!isJsonObject(value)) {
    report(path, expected('a list of answers, or {"patterns": [...]}', value));
    return null;
  }
  const { patterns } = readObject(value, path, ["patterns"], report) ?? {};
  if (!Array.isArray(patterns) || patterns.length === 0) {
    report([...path, "patterns"], expected("a list of {match, answer}", patterns));
    return null;
  }
  return {
    kind: "patterns",
    patterns: patterns.flatMap((one, i) => readPattern(one, [...path, "patterns", i], report) ?? []),
  };
}

function readPattern(value: Json, path: Path, report: Report): { match: RegExp; answer: Answer } | null {
  const pattern = readObject(value, path, ["match", "flags", "answer"], report);
  if (pattern === null) return null;
  const match = readMatch(pattern, path, report);
  if (pattern.answer === undefined) report([...path, "answer"], "it is missing.");
  const answer = readAnswer(pattern.answer ?? null, [...path, "answer"], report);
  return match === null ? null : { match, answer };
}

function readMatch({ match, flags = "" }: JsonObject, path: Path, report: Report): RegExp | null {
  if (typeof match !== "string") {
    report([...path, "match"], expected("a regular expression as text", match));
    return null;
  }
  if (typeof flags !== "string" || !/^[imsu]*$/.test(flags)) {
    report([...path, "flags"], expected("letters out of i, m, s and u", flags));
    return null;
  }
  try {
    return new RegExp(match, flags);
  } catch (error) {
    report([...path, "match"], `${error instanceof Error ? error.message : String(error)}.`);
    return null;
  }
}

function readAnswer(value: Json, path: Path, report: Report): Answer {
  if (typeof value === "string") return { text: value };
  const form = isJsonObject(value) ? Object.keys(value).find((name) => name.startsWith("$")) : undefined;
  if (!isJsonObject(value) || form === undefined) return { text: JSON.stringify(value) };
  const content = value[form];
  if (content === undefined || !FORMS.includes(form) || Object.keys(value).length > 1) {
    const hint = FORMS.includes(form) ? "" : didYouMean(form, FORMS);
    report(
      path,
      `expected {${JSON.stringify(form)}: ...} to be one of ${FORMS.join(", ")} alone.${hint} JSON with such fields is written {"$json": ...}.`,
    );
    return { text: "" };
  }
  if (form === "$json") return { text: JSON.stringify(content) };
  if (form === "$error") return readError(content, [...path, form], report);
  if (typeof content === "string") return { text: content };
  report([...path, form], expected("a text", content));
  return { text: "" };
}

function readError(value: Json, path: Path, report: Report): Answer {
  const { status, message, code, retryAfter } =
    readObject(value, path, ["status", "message", "code", "retryAfter"], report) ?? {};
  const check = (field: string, isRight: boolean, what: string, given: Json | undefined) => {
    if (!isRight) report([...path, field], expected(what, given));
  };
  const isStatus = typeof status === "number" && Number.isInteger(status) && status >= 400 && status <= 599;
  check("status", isStatus, "an HTTP status from 400 to 599", status);
  check("message", message === undefined || typeof message === "string", "a text", message);
  check("code", code === undefined || typeof code === "string", "a text", code);
  const isWait = typeof retryAfter === "number" && retryAfter >= 0;
  check("retryAfter", retryAfter === undefined || isWait, "a number of seconds", retryAfter);
  return {
    status: isStatus ? status : 500,
    message: typeof message === "string" ? message : `The mock answers ${isStatus ? status : 500}.`,
    ...(typeof code === "string" ? { code } : {}),
    ...(isWait ? { retryAfter } : {}),
  };
}
