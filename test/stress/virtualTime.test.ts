import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it } from "vitest";
import { inVirtualTime } from "../../stress-tests/lib/virtualTime.js";

const HOUR = 3_600_000;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("virtual time", () => {
  it("passes exactly as long as is waited for", async () => {
    const took = await inVirtualTime(1, async (clock) => {
      const from = Date.now();
      await Promise.all([sleep(HOUR), clock.sleep(2 * HOUR)]);
      expect(new Date().getTime()).toBe(clock.now);
      return Date.now() - from;
    });
    expect(took).toBe(2 * HOUR);
  });

  it("fires timers in order, and not those that were cleared", async () => {
    const fired: string[] = [];
    await inVirtualTime(1, async () => {
      setTimeout(() => fired.push("late"), 30);
      setTimeout((what: string) => fired.push(what), 10, "early");
      clearTimeout(setTimeout(() => fired.push("never"), 20));
      const ticks = setInterval(() => {
        fired.push("tick");
        if (fired.length > 3) clearInterval(ticks);
      }, 12);
      await sleep(100);
    });
    expect(fired).toEqual(["early", "tick", "tick", "late", "tick"]);
  });

  it("calls back in the context of whoever set the timer", async () => {
    const caller = new AsyncLocalStorage<string>();
    const seen: Array<string | undefined> = [];
    await inVirtualTime(1, async () => {
      for (const name of ["one", "other"]) caller.run(name, () => setTimeout(() => seen.push(caller.getStore()), 10));
      await sleep(20);
    });
    expect(seen).toEqual(["one", "other"]);
  });

  it("has dates that are dates", async () => {
    await inVirtualTime(1, async (clock) => {
      expect(new Date(0).toISOString()).toBe("1970-01-01T00:00:00.000Z");
      expect(new Date()).toBeInstanceOf(Date);
      expect(Date()).toBe(new Date(clock.now).toString());
      expect(Date.UTC(1970, 0, 2)).toBe(24 * HOUR);
    });
  });

  it("takes chance from the seed", async () => {
    const draw = (seed: number) =>
      inVirtualTime(seed, async () => {
        const { random } = Math;
        return [random(), random()];
      });
    expect(await draw(5)).toEqual(await draw(5));
    expect(await draw(5)).not.toEqual(await draw(6));
  });

  it("gives everything back, also after a failure", async () => {
    const { setTimeout, clearTimeout, setInterval, clearInterval, Date } = globalThis;
    const { random } = Math;
    const failing = inVirtualTime(1, async () => {
      throw new Error("broken off");
    });
    await expect(failing).rejects.toThrow("broken off");
    expect(globalThis).toMatchObject({ setTimeout, clearTimeout, setInterval, clearInterval, Date });
    expect(Math).toHaveProperty("random", random);
  });

  it("belongs to one piece of work, and ends with it", async () => {
    await inVirtualTime(1, async () => {
      await expect(inVirtualTime(2, async () => 1)).rejects.toThrow("wait for the other run to end");
      expect(Date.now()).toBe(Date.UTC(2026, 0, 1));
    });
    expect(await inVirtualTime(3, async () => 1)).toBe(1);
  });
});
