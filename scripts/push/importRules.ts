/**
 * Rules of importing: a module must load without a transaction, a network, a clock to wait on, and an environment.
 *
 * Invariant: a refused effect that also makes the import fail is one problem, the effect.
 */
import { labelOf } from "./bundle.js";
import type { Import, Place, SeenEffect } from "./modules.js";
import type { Findings } from "./problems.js";

const isConvex = ({ file }: Place): boolean => /\/node_modules\/convex\//.test(file);
const isPackage = ({ file }: Place): boolean => file.includes("/node_modules/");
const isGenerated = ({ file }: Place): boolean => file.includes("/_generated/");

function name(place: Place | undefined, root: string, fallback: string): string {
  return place === undefined ? fallback : `${labelOf(root, place.file)}:${place.line}`;
}

/** The line that the reader can do something about: the innermost that belongs neither to Convex nor to generated code. */
function culprit(places: Place[]): Place | undefined {
  return places.find((place) => !isConvex(place) && !isGenerated(place)) ?? places[0];
}

export function reportEffects(
  effects: SeenEffect[],
  { root, where, isEnvGiven }: { root: string; where: string; isEnvGiven: boolean },
  findings: Findings,
): void {
  for (const { kind, name: what, places } of effects) {
    const place = culprit(places);
    const at = name(place, root, where);
    if (kind === "effect") {
      findings.problem("IMPORT_EFFECT", at, `It uses ${what} while it is imported.`, "Move the use into a handler.");
    } else if (place !== undefined && isPackage(place)) {
      findings.note(
        "IMPORT_ENV",
        at,
        `A package looks for process.env.${what} while it is imported and finds nothing.`,
      );
    } else if (!isEnvGiven) {
      findings.problem(
        "IMPORT_ENV",
        at,
        `It reads process.env.${what} while it is imported, where it is always undefined.`,
        "Read it in a handler.",
      );
    }
  }
}

export function reportFailure(
  failed: Extract<Import, { ok: false }>,
  effects: SeenEffect[],
  { root, where }: { root: string; where: string },
  findings: Findings,
): void {
  const isOwnRefusal =
    effects.some((effect) => effect.kind === "effect") && failed.error.message.startsWith("Can't use ");
  if (isOwnRefusal) return;
  const at = name(culprit(failed.places), root, where);
  const message = `The import fails: ${failed.error.message}`;
  const fix = "A push imports every module, with an empty environment. Move what may fail into a handler.";
  findings.problem("IMPORT_THROWS", at, message, fix);
}
