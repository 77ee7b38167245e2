/** How long to wait when an attempt could not even be made, and when to give up. */
import { decideBackpressure } from "../engine/retry.js";
import type { ErrorCode } from "../shared/errors.js";
import { MINUTE, SECOND } from "../shared/limits.js";

/** A missing function is waited for across a deploy: 10 s, 20 s, ... 5 min; about half an hour in all. */
const UNBOUND_FIRST_MS = 10 * SECOND;
const UNBOUND_LAST_MS = 5 * MINUTE;
const UNBOUND_PATIENCE = 10;
/** A full deployment is waited for longer: it makes no progress to give up. */
const REFUSED_PATIENCE = 100;

/** The delay before the next look, or null when the refusal is to become a failure. */
export function refusalDelay(code: ErrorCode, refusals: number, random: number): number | null {
  if (code === "ACTION_UNBOUND") {
    return refusals > UNBOUND_PATIENCE ? null : Math.min(UNBOUND_FIRST_MS * 2 ** (refusals - 1), UNBOUND_LAST_MS);
  }
  return refusals > REFUSED_PATIENCE ? null : decideBackpressure(refusals, random);
}
