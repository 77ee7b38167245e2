/**
 * A source of choices for builders of random structures.
 *
 * Choices are read from a list that fast-check generates, so a run is repeatable and shrinks: at the end of the tape
 * every choice is the first one. A builder lists its simplest choice first.
 */
import fc from "fast-check";

export class Tape {
  readonly #choices: readonly number[];
  #position = 0;

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  /** A whole number from 0 to `count - 1`. */
  pick(count: number): number {
    const choice = this.#choices[this.#position++] ?? 0;
    return choice % count;
  }

  chance(percent: number): boolean {
    return this.pick(100) >= 100 - percent;
  }

  oneOf<T>(first: T, ...others: T[]): T {
    return [first, ...others][this.pick(others.length + 1)] ?? first;
  }
}

export function fromTape<T>(build: (tape: Tape) => T): fc.Arbitrary<T> {
  return fc.array(fc.nat({ max: 0xffff }), { maxLength: 600, size: "max" }).map((choices) => build(new Tape(choices)));
}
