/** The modules of this host, in the form that convexTest takes: paths below a folder that holds `_generated`. */
export const hostModules: Record<string, () => Promise<unknown>> = {
  "/nodes/_generated/api.ts": async () => ({}),
  "/nodes/functions.ts": () => import("./functions.js"),
};
