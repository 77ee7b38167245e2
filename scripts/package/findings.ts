/** What a check found, and which findings are meant to be so. */

export type Finding = {
  tool: "publint" | "attw" | "contents";
  code: string;
  /** The field, entry or file. For attw: the way of resolving, and the entry. */
  where: string;
  message: string;
};

export type Allowance = Pick<Finding, "tool" | "code"> & {
  /** What `where` begins with. */
  where: string;
  reason: string;
};

/** Both together are attw's profile "esm-only". */
export const ALLOWED: Allowance[] = [
  {
    tool: "attw",
    code: "CJSResolvesToESM",
    where: "node16-cjs ",
    reason: "The package is ESM only, as all Convex components are: apps bundle it, and Node imports it.",
  },
  {
    tool: "attw",
    code: "NoResolution",
    where: "node10 ",
    reason: "Resolution that ignores `exports`, which Convex's own entry points need, too.",
  },
];

export type Judgement = {
  refused: Finding[];
  allowed: Array<Finding & { reason: string }>;
  /** Allowances that nothing needs any more. */
  unused: Allowance[];
};

export function judge(findings: Finding[], allowances: Allowance[]): Judgement {
  const allows = (finding: Finding) => (one: Allowance) =>
    one.tool === finding.tool && one.code === finding.code && finding.where.startsWith(one.where);
  const judgement: Judgement = { refused: [], allowed: [], unused: [] };
  for (const finding of findings) {
    const allowance = allowances.find(allows(finding));
    if (allowance === undefined) judgement.refused.push(finding);
    else judgement.allowed.push({ ...finding, reason: allowance.reason });
  }
  judgement.unused = allowances.filter((one) => !findings.some((finding) => allows(finding)(one)));
  return judgement;
}
