/** The cases as convex-test has them: what the facade is held to. */
import { convexTest } from "convex-test";
import { cases } from "./cases.js";

cases(convexTest);
