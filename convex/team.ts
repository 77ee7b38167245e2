/** Tenancy of the app: everybody works for one team, and a team's name is the scope of its definitions and executions. */
import type { Auth } from "convex/server";

/** The caller's team, from a claim that the issuer of the token vouches for; null when not signed in. */
export async function teamOf(ctx: { auth: Auth }): Promise<string | null> {
  const user = await ctx.auth.getUserIdentity();
  return typeof user?.team === "string" && user.team !== "" ? user.team : null;
}
