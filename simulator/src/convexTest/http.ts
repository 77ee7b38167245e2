/** HTTP actions: the app's router, and its functions as actions of the app. */
import type { HttpRouter, PublicHttpAction, RoutableMethod } from "convex/server";
import type { CallOptions, Deployment } from "../engine/deployment.js";
import type { RegisteredFunction } from "../runtime/component.js";

type HttpCode = PublicHttpAction & { invokeHttpAction(request: Request): Promise<Response> };

export async function fetchFrom(
  deployment: Deployment,
  path: string,
  init: RequestInit | undefined,
  options: CallOptions,
): Promise<Response> {
  if (!path.startsWith("/")) throw new Error(`The path given to fetch must start with a "/"; it is "${path}".`);
  await deployment.load();
  const router = deployment.component("").module("http")?.default as HttpRouter | undefined;
  if (router === undefined) throw new Error("The app has no router: there is no http module with a default export.");
  const url = new URL(`https://simulated.convex.site${path}`);
  const found = router.lookup(url.pathname, (init?.method ?? "GET") as RoutableMethod | "HEAD");
  if (found === null) return new Response(`No HttpAction routed for ${url.pathname}`, { status: 404 });
  const action = found[0] as HttpCode;
  let response: Response | null = null;
  const invokeAction = async () => {
    response = await action.invokeHttpAction(new Request(url, init));
    return "null";
  };
  const code = { invokeAction } as unknown as RegisteredFunction;
  const target = { code, component: deployment.component(""), kind: "action", name: "http" } as const;
  await deployment.call(target, "action", {}, options);
  return response ?? new Response(null);
}
