/**
 * What one evaluation may spend.
 *
 * Owns: the accounting of work and of built text. Invariant: everything whose cost depends on data is paid for before
 * it is done, so that no expression can run long or allocate much before it is stopped.
 *
 * Work is counted in units, {@link UNITS_PER_STEP} to a step: an operation or a key that is listed costs a step, an item
 * that a function touches a quarter, a character that is read or written a sixty-fourth. The prices follow measured time.
 */
import { MAX_EXPRESSION_OUTPUT_CHARS, MAX_EXPRESSION_STEPS } from "../../shared/limits.js";
import { limited } from "./error.js";

const UNITS_PER_STEP = 64;
const UNITS_PER_ELEMENT = 16;

export class Budget {
  readonly #what: string;
  #units: number;
  #chars = MAX_EXPRESSION_OUTPUT_CHARS;

  /** @param what - what the steps are allowed for, for the error text. */
  constructor(steps = MAX_EXPRESSION_STEPS, what = `${MAX_EXPRESSION_STEPS} steps`) {
    this.#units = steps * UNITS_PER_STEP;
    this.#what = what;
  }

  /** Steps that are left, rounded down. */
  get stepsLeft(): number {
    return Math.max(0, Math.floor(this.#units / UNITS_PER_STEP));
  }

  /** Pays for operations of the expression, and for listing keys, which is as slow. */
  step(count = 1): void {
    this.#spend(count * UNITS_PER_STEP);
  }

  /** Pays for the items that a function touches. */
  elements(count: number): void {
    this.#spend(count * UNITS_PER_ELEMENT);
  }

  /** Pays for looking at characters: searching, comparing, matching. */
  read(chars: number): void {
    this.#spend(chars);
  }

  /** Pays for characters of new text. Call it before the text is built. */
  text(chars: number): void {
    this.#chars -= chars;
    if (this.#chars < 0) {
      throw limited(
        `The expression builds more than ${MAX_EXPRESSION_OUTPUT_CHARS} characters of text. Build less, or do it in an action.`,
      );
    }
    this.#spend(chars);
  }

  #spend(units: number): void {
    this.#units -= units;
    if (this.#units < 0) {
      throw limited(
        `The expression takes more than ${this.#what}. Work on less data, split it over a loop, or do it in an action.`,
      );
    }
  }
}
