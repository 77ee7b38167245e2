/**
 * The rules about expressions: they parse, name what exists, and read only what can have run.
 * Invariant: where the graph is not sound, no problem is made of the scope an expression seems to have.
 */
import { analyzeExpression } from "../expr/analyze.js";
import type { Suggester } from "./suggest.js";
import { parseTemplate } from "../expr/template.js";
import { expressionsIn, generousScopes, scopesOf } from "./expressions.js";
import type { GraphCheck } from "./checkGraph.js";
import { problem, type Path, type PathSegment, type Problem } from "./problems.js";
import { createReach } from "./reach.js";
import { loopsAround, type Graph, type Regions } from "./regions.js";
import type { LooseNode } from "./shape.js";
import { sitesOf, type Site } from "./sites.js";

/** The whole of an expression field in the braces of templates. */
const BRACES = /^\s*\{\{([\s\S]*)\}\}\s*$/;

export function checkExpressions(
  nodes: readonly LooseNode[],
  graph: Graph,
  { regions, isSound }: GraphCheck,
  suggest: Suggester,
): Problem[] {
  const byId = new Map(nodes.map((one) => [one.id, one.node]));
  const isScopeKnown = isSound && !nodes.some(({ bad }) => ["items", "item", "index"].some((field) => bad.has(field)));
  const scopes = isScopeKnown ? scopesOf(byId, regions.loopOf) : generousScopes(byId);
  const reach = createReach(graph, regions);

  return nodes.flatMap(({ id, node }) => {
    const reported = new Set<string>();
    return (node === null ? [] : sitesOf(node)).flatMap((site) => {
      const names = scopes(id, site);
      const { problems, expressions } = readSite(["nodes", id, ...site.path], site);
      for (const { source, path } of expressions) {
        const analysis = analyzeExpression(source, names, suggest);
        for (const { message, suggestion } of analysis.problems) {
          problems.push(problem("EXPRESSION_INVALID", path, message, suggestion ?? null));
        }
        if (!isSound) continue;
        const readable = site.moment === "pass" ? reach.inPassOf(id) : reach.before(id);
        for (const read of analysis.reads.nodes) {
          const key = JSON.stringify([path, read]);
          if (!byId.has(read) || readable.has(read) || reported.has(key)) continue;
          reported.add(key);
          problems.push(notReadable(path, id, read, site.moment, regions));
        }
      }
      return problems;
    });
  });
}

type SiteContent = { problems: Problem[]; expressions: Array<{ source: string; path: Path }> };

function readSite(path: PathSegment[], site: Site): SiteContent {
  if (site.kind === "template") {
    const { template, problems } = parseTemplate(site.value);
    return {
      problems: problems.map((one) => problem("EXPRESSION_INVALID", [...path, ...one.path], one.message)),
      expressions: expressionsIn(template, path),
    };
  }
  const inner = BRACES.exec(site.source)?.[1]?.trim();
  if (inner === undefined) return { problems: [], expressions: [{ source: site.source, path }] };
  const message = "This field is an expression as it stands; braces are for templates. Leave them out.";
  return { problems: [problem("EXPRESSION_INVALID", path, message, inner)], expressions: [] };
}

/** Says why a node cannot have run before the one that reads it. */
function notReadable(path: Path, reader: string, read: string, moment: Site["moment"], { loopOf }: Regions): Problem {
  const around = [...(moment === "pass" ? [reader] : []), ...loopsAround(loopOf, reader)];
  if (read === reader) return build("a node cannot read what it gives itself", null);
  if (around.includes(read)) {
    return build(
      "it is a loop around this node, which has not ended; what it holds so far is in `loop` and `loops`",
      null,
    );
  }
  const left = loopsAround(loopOf, read).findLast((loop) => !around.includes(loop));
  if (left !== undefined) {
    const suggestion = left === reader ? null : `nodes.${left}.output`;
    return build(
      `it is in the body of loop \`${left}\`, whose passes cannot be read one by one; collect what is needed with \`collect\``,
      suggestion,
    );
  }
  return build(
    "no path leads from it to this node within one pass; read a node that comes before, or change the order",
    null,
  );

  function build(why: string, suggestion: string | null): Problem {
    return problem("NODE_NOT_READABLE", path, `\`${reader}\` reads \`nodes.${read}\`, but ${why}.`, suggestion);
  }
}
