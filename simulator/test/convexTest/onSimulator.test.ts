/** The same cases on the facade. */
import type { convexTest as ConvexTest } from "convex-test";
import { convexTest } from "../../src/convexTest.js";
import { cases } from "./cases.js";

cases(convexTest as unknown as typeof ConvexTest);
