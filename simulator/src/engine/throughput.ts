/** Bytes committed within a second (section 4): over the limit no attempt of a mutation starts. */
import { Fifo } from "../store/fifo.js";
import type { Loop } from "./loop.js";

const WINDOW_MS = 1_000;

export class Throughput {
  readonly #loop: Loop;
  readonly #limit: number;
  readonly #commits = new Fifo<{ at: number; bytes: number }>();
  #sum = 0;

  constructor(loop: Loop, bytesPerSecond: number) {
    this.#loop = loop;
    this.#limit = bytesPerSecond;
  }

  hasRoom(): boolean {
    const oldest = this.#loop.now() - WINDOW_MS;
    for (let first = this.#commits.at(0); first !== undefined && first.at <= oldest; first = this.#commits.at(0)) {
      this.#sum -= first.bytes;
      this.#commits.shift();
    }
    return this.#sum <= this.#limit;
  }

  add(bytes: number): void {
    if (bytes === 0) return;
    this.#commits.push({ at: this.#loop.now(), bytes });
    this.#sum += bytes;
  }
}
