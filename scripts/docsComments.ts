/**
 * Reads the comments of a module's constants, for the generated pages.
 *
 * Owns: which comment belongs to what. Reads with the TypeScript parser, so that a comment is found wherever the
 * formatter puts it.
 */
import ts from "typescript";

export type SourceComments = {
  /** Doc comment of an exported constant: name -> text. */
  declarations: Map<string, string>;
  /** Doc comment of a string in a list (`LIST.member`) or of a property of an object (`NAME.property`). */
  members: Map<string, string>;
  /** The section that a constant (`NAME`) or a property of one (`NAME.property`) stands in. */
  sections: Map<string, string>;
};

export function readComments(source: string): SourceComments {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true);
  const comments: SourceComments = { declarations: new Map(), members: new Map(), sections: new Map() };
  let section: string | undefined;
  for (const statement of file.statements) {
    section = sectionTitle(leadingComments(source, statement)) ?? section;
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      const constant = name.getText(file);
      if (section !== undefined) comments.sections.set(constant, section);
      setIfFound(comments.declarations, constant, docText(leadingComments(source, statement)));
      if (initializer !== undefined) readParts(source, constant, withoutAssertions(initializer), comments);
    }
  }
  return comments;
}

function readParts(source: string, constant: string, value: ts.Expression, comments: SourceComments): void {
  if (ts.isArrayLiteralExpression(value)) {
    for (const element of value.elements) {
      if (!ts.isStringLiteral(element)) continue;
      setIfFound(comments.members, `${constant}.${element.text}`, docText(leadingComments(source, element)));
    }
  } else if (ts.isObjectLiteralExpression(value)) {
    let section: string | undefined;
    for (const property of value.properties) {
      section = sectionTitle(leadingComments(source, property)) ?? section;
      if (property.name === undefined) continue;
      const member = `${constant}.${property.name.getText()}`;
      if (section !== undefined) comments.sections.set(member, section);
      setIfFound(comments.members, member, docText(leadingComments(source, property)));
    }
  }
}

/** `[...] as const satisfies T` -> `[...]`. */
function withoutAssertions(value: ts.Expression): ts.Expression {
  return ts.isAsExpression(value) || ts.isSatisfiesExpression(value) ? withoutAssertions(value.expression) : value;
}

function leadingComments(source: string, node: ts.Node): string[] {
  const ranges = ts.getLeadingCommentRanges(source, node.getFullStart()) ?? [];
  return ranges.map(({ pos, end }) => source.slice(pos, end));
}

/** A line comment opens a section: `// Title`, or `// ── Title ───`. */
function sectionTitle(comments: string[]): string | undefined {
  return comments
    .filter((comment) => comment.startsWith("//"))
    .at(-1)
    ?.replace(/^\/\/[\s─]*|[\s─]*$/g, "");
}

/** The text of the nearest doc comment, line by line, with links as code. */
function docText(comments: string[]): string | undefined {
  return comments
    .filter((comment) => comment.startsWith("/**"))
    .at(-1)
    ?.replace(/^\/\*\*|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trim())
    .join("\n")
    .trim()
    .replace(/\{@link ([^}]+)\}/g, "`$1`");
}

function setIfFound(map: Map<string, string>, key: string, text: string | undefined): void {
  if (text !== undefined && text !== "") map.set(key, text);
}
