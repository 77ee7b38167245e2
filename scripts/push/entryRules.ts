/** Rules of the two modules with a meaning of their own: `crons` and `http`. */
import type { Analysis } from "./functionRules.js";
import type { Findings } from "./problems.js";

type Crons = { isCrons?: boolean; crons: Record<string, { name: string }> };

export function checkCrons({ exports, functions }: Analysis, label: string, findings: Findings): void {
  const module = exports.get("crons");
  if (module === undefined) return;
  const where = `${label}/crons`;
  const crons = module["default"] as Crons | undefined;
  if (crons?.isCrons !== true) {
    findings.problem(
      "CRONS",
      where,
      "Its default export is not a set of crons.",
      "Export what `cronJobs()` returns as default.",
    );
    return;
  }
  for (const [identifier, { name }] of Object.entries(crons.crons)) {
    const [module = "", fn = "default"] = name.split(":");
    const target = functions.find((one) => one.module === module && one.name === fn);
    const fault =
      target === undefined
        ? "is not there"
        : target.kind === "mutation" || target.kind === "action"
          ? null
          : `is a ${target.kind}, not a mutation or an action`;
    if (fault === null) continue;
    findings.problem(
      "CRON_FUNCTION",
      where,
      `The cron "${identifier}" runs ${name}, which ${fault}.`,
      "Correct the reference.",
    );
  }
}

export function checkHttp({ exports }: Analysis, label: string, findings: Findings): void {
  const module = exports.get("http");
  if (module === undefined) return;
  const router = module["default"] as { isRouter?: boolean } | undefined;
  if (router?.isRouter === true) return;
  const fix = "Export what `httpRouter()` returns as default, or rename the file.";
  findings.problem("HTTP", `${label}/http`, "Its default export is not a router.", fix);
}
