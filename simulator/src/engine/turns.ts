/** One after the other, in the order of asking. Invariant: nobody has the turn before the one ahead gave it back. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** @returns what gives the turn back. */
  async take(): Promise<() => void> {
    const ahead = this.#last;
    let release: () => void = () => undefined;
    this.#last = new Promise((resolve) => void (release = resolve));
    await ahead;
    return release;
  }
}
