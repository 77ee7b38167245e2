/** A queue that gives back the memory of what was taken off its front. Taking one off costs the same however long it is. */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The oldest one, or the one so many places behind it. */
  at(place: number): T | undefined {
    return this.#items[this.#head + place];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined as T;
    // Rarely, and never more than was taken off: moving the rest each time would cost the whole length each time.
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1_000 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  remove(item: T): void {
    const place = this.#items.indexOf(item, this.#head);
    if (place >= 0) this.#items.splice(place, 1);
  }

  slice(from: number): T[] {
    return this.#items.slice(this.#head + from);
  }
}
