/** The modules of this host, in the form that convexTest takes: paths below a folder that holds `_generated`. */
export const hostModules: Record<string, () => Promise<unknown>> = {
  "/faults/_generated/api.ts": async () => ({}),
  "/faults/functions.ts": () => import("./functions.js"),
};
