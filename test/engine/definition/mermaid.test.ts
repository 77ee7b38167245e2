import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { draftAndRewrite } from "../../../convex/draftAndRewrite.js";
import { enrichList } from "../../../convex/enrichList.js";
import { ticketTriage } from "../../../convex/ticketTriage.js";
import { toMermaid } from "../../../src/engine/definition/mermaid.js";
import type { Definition } from "../../../src/engine/definition/schema.js";
import { validateDefinition } from "../../../src/engine/definition/validate.js";
import type { Json } from "../../../src/shared/json.js";
import { definitions } from "../../support/arbitraries/definitions.js";
import loops from "../../fixtures/definitions/valid/loops.json";

const SEED = 4_117;

function valid(source: unknown): Definition {
  const { definition, problems } = validateDefinition(source as Json);
  expect(problems).toEqual([]);
  return definition as Definition;
}

/** A flow of one condition, whose expression is in its label. */
function withText(text: string, id = "check"): Definition {
  return {
    name: "label",
    nodes: {
      start: { type: "trigger", next: { success: id } },
      [id]: { type: "condition", if: text },
    },
  };
}

/** The text of a label as Mermaid and a browser show it. */
function shown(line: string): string {
  const label = /^ *\w+\W{1,2}"(?:\w+<br\/>)?([^"]*)"\W{1,2}$/.exec(line)?.[1];
  expect(label, line).toBeDefined();
  return (label ?? "").replace(/#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

describe("drawings", () => {
  test("branches", () => {
    expect(toMermaid(valid(ticketTriage))).toBe(`flowchart TD
  node_start(["start"])
  node_customer[["customer<br/>crm.lookUp"]]
  node_classify("classify<br/>openai:gpt-5-mini")
  node_route{"route<br/>nodes.classify.output.category"}
  node_toOnCall["toOnCall<br/>set queue"]
  node_toBilling["toBilling<br/>set queue"]
  node_toEngineering["toEngineering<br/>set queue"]
  node_toSupport["toSupport<br/>set queue"]
  node_ticket[["ticket<br/>desk.openTicket"]]
  node_isUrgent{"isUrgent<br/>nodes.classify.output.urgent"}
  node_notify[["notify<br/>desk.notify"]]
  node_done(["done"])
  node_byHand[["byHand<br/>desk.openTicket"]]
  node_unsorted(["unsorted"])
  node_start --> node_customer
  node_customer --> node_classify
  node_classify --> node_route
  node_classify -->|"failure"| node_byHand
  node_route -->|"onCall"| node_toOnCall
  node_route -->|"billing"| node_toBilling
  node_route -->|"engineering"| node_toEngineering
  node_route -->|"default"| node_toSupport
  node_toOnCall --> node_ticket
  node_toBilling --> node_ticket
  node_toEngineering --> node_ticket
  node_toSupport --> node_ticket
  node_ticket --> node_isUrgent
  node_isUrgent -->|"true"| node_notify
  node_isUrgent -->|"false"| node_done
  node_notify --> node_done
  node_notify -->|"failure"| node_done
  node_byHand --> node_unsorted
`);
  });

  test("a loop over a list", () => {
    expect(toMermaid(valid(enrichList), "LR")).toBe(`flowchart LR
  node_start(["start"])
  node_each{{"each<br/>for each of input.domains"}}
  subgraph body_each["body of each"]
    node_lookUp[["lookUp<br/>directory.lookUp"]]
  end
  node_save[["save<br/>leads.save"]]
  node_done(["done"])
  node_start --> node_each
  node_each -.->|"each pass"| node_lookUp
  node_each -->|"done"| node_save
  node_save --> node_done
`);
  });

  test("a loop until a condition holds", () => {
    expect(toMermaid(valid(draftAndRewrite))).toBe(`flowchart TD
  node_start(["start"])
  node_rewrite{{"rewrite<br/>until nodes.judge.output.score #62;= input.goal"}}
  subgraph body_rewrite["body of rewrite"]
    node_write("write<br/>openai:gpt-5-mini")
    node_judge("judge<br/>openai:gpt-5")
  end
  node_isGood{"isGood<br/>nodes.rewrite.output.exit == #34;break#34;"}
  node_save[["save<br/>articles.save"]]
  node_published(["published"])
  node_givenUp(["givenUp"])
  node_start --> node_rewrite
  node_rewrite -.->|"each pass"| node_write
  node_rewrite -->|"done"| node_isGood
  node_rewrite -->|"break"| node_isGood
  node_write --> node_judge
  node_isGood -->|"true"| node_save
  node_isGood -->|"false"| node_givenUp
  node_save --> node_published
`);
  });

  test("loops in loops are boxes in boxes", () => {
    const lines = toMermaid(valid(loops)).split("\n");
    const from = lines.indexOf('  subgraph body_orders["body of orders"]');
    expect(lines.slice(from, from + 7)).toEqual([
      '  subgraph body_orders["body of orders"]',
      '    node_lines{{"lines<br/>for each of order.lines"}}',
      '    subgraph body_lines["body of lines"]',
      '      node_price[["price<br/>shop.price"]]',
      "    end",
      '    node_book[["book<br/>shop.book"]]',
      "  end",
    ]);
  });

  test("every node is drawn once, in the box of its loop, with all of its connections", () => {
    fc.assert(
      fc.property(definitions({ actions: ["a"], maxNodes: 12 }), (definition) => {
        const { nodes } = valid(definition);
        const around: string[] = [];
        const boxOf: Record<string, string | null> = {};
        const edges: Array<[from: string, port: string, to: string]> = [];
        const [head, ...lines] = toMermaid(definition).trimEnd().split("\n");
        expect(head).toBe("flowchart TD");
        for (const line of lines) {
          const [, opened] = /^ *subgraph body_(\w+)\["body of \w+"\]$/.exec(line) ?? [];
          const [, from, port = "success", to] =
            /^ {2}node_(\w+) (?:-->|-\.->)(?:\|"(.*)"\|)? node_(\w+)$/.exec(line) ?? [];
          const [, drawn] = /^ +node_(\w+?)(?:\(\[|\[\[|\{\{|[[({])"[^"]*"(?:\]\)|\]\]|\}\}|[\])}])$/.exec(line) ?? [];
          if (opened !== undefined) around.unshift(opened);
          else if (from !== undefined && to !== undefined) edges.push([from, port, to]);
          else if (drawn !== undefined) {
            expect(boxOf).not.toHaveProperty(drawn);
            boxOf[drawn] = around[0] ?? null;
          } else {
            expect(line.trim()).toBe("end");
            around.shift();
          }
        }
        const expected = Object.entries(nodes).flatMap(([id, node]) => [
          ...(node.type === "loop" ? [[id, "each pass", node.body]] : []),
          ...Object.entries(node.next ?? {}).map(([port, to]) => [id, port, to]),
        ]);
        expect(edges.map(String).sort()).toEqual(expected.map(String).sort());
        expect(Object.keys(boxOf).sort()).toEqual(Object.keys(nodes).sort());
        // A box holds the entry of its body, and connections stay in their box.
        for (const [id, node] of Object.entries(nodes)) {
          if (node.type === "loop") expect(boxOf[node.body]).toBe(id);
          for (const to of Object.values(node.next ?? {})) expect(boxOf[to]).toBe(boxOf[id]);
        }
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  test("the order of ports is that of the node type, whatever the order in the document", () => {
    const flow = (next: Record<string, string>): Definition => ({
      name: "order",
      nodes: {
        start: { type: "trigger", next: { success: "a" } },
        a: { type: "set", values: { x: 1 }, next },
        b: { type: "output", value: 1 },
      },
    });
    expect(toMermaid(flow({ failure: "b", success: "b" }))).toBe(toMermaid(flow({ success: "b", failure: "b" })));
  });
});

describe("labels", () => {
  const lineOf = (definition: Definition, id = "check") =>
    toMermaid(definition)
      .split("\n")
      .find((line) => line.startsWith(`  node_${id}{`)) ?? "";

  test("words of Mermaid can be ids", () => {
    for (const id of ["end", "graph", "subgraph", "style", "default", "click", "o", "x", "__proto__x"]) {
      expect(lineOf(withText("true", id), id)).toBe(`  node_${id}{"${id}<br/>true"}`);
    }
  });

  test("no text of a definition ends a label or is read as Mermaid or HTML", () => {
    const texts: Array<[text: string, written: string]> = [
      ['a == "b"', "a == #34;b#34;"],
      ["a[0] == (b)", "a[0] == (b)"],
      ["<img src=x onerror=alert(1)>", "#60;img src=x onerror=alert(1)#62;"],
      ["#quot; & &lt;", "#35;quot#59; #38; #38;lt#59;"],
      ["%%{init: {}}%%", "#37;#37;#123;init#58; #123;#125;#125;#37;#37;"],
      ["`**bold**`", "#96;**bold**#96;"],
      ["a\\nb", "a#92;nb"],
      ["fa:fa-car", "fa#58;fa-car"],
      ["$$x$$", "#36;#36;x#36;#36;"],
      ['style:x="1"', "style#58;x=#34;1#34;"],
      ["a\n\tb\r\nc", "a b c"],
      ["größe == '温度' || 😀", "größe == '温度' || 😀"],
      ["a\u0000b\u202ec", "a#0;b#8238;c"],
    ];
    for (const [text, written] of texts) expect(lineOf(withText(text))).toBe(`  node_check{"check<br/>${written}"}`);
  });

  test("whatever the text, it is shown as it is, in one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), (text) => {
        const drawing = toMermaid(withText(text));
        expect(drawing.split("\n")).toHaveLength(5);
        expect(shown(lineOf(withText(text)))).toBe(text.replace(/\s+/g, " ").trim());
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  test("long texts are cut between characters", () => {
    expect(shown(lineOf(withText("😀".repeat(61))))).toBe(`${"😀".repeat(59)}…`);
    expect(shown(lineOf(withText("😀".repeat(60))))).toBe("😀".repeat(60));
  });

  test("a template with text around its expression keeps the braces", () => {
    const of = (value: Json) =>
      toMermaid({ name: "s", nodes: { check: { type: "switch", value, cases: [{ equals: 1, port: "one" }] } } });
    expect(of("{{ input.a }}")).toContain('"check<br/>input.a"');
    expect(of("{{ input.a }} {{ input.b }}")).toContain(
      '"check<br/>#123;#123; input.a #125;#125; #123;#123; input.b #125;#125;"',
    );
    expect(of(["{{ input.a }}", 1])).toContain('"check<br/>[#34;#123;#123; input.a #125;#125;#34;,1]"');
  });
});
