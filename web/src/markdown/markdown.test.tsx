import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { safeAddress } from "./links";
import { Markdown } from "./Markdown";
import { blocksOf, NO_BLOCKS } from "./parse";

const shown = (text: string) => renderToStaticMarkup(<Markdown text={text} growing={false} />);

const SAMPLE = `# Title

Some *text* with \`code\` and a [link](https://example.org).
second line

- one
- two
  - nested

  with a paragraph

1. first
2. second

\`\`\`python
def f(): pass

# no heading
\`\`\`

| a | b |
|---|--:|
| 1 | 2 |

> quoted
lazy

$$x^2$$

---
last $a+b$ words 章鱼`;

test("what people write is shown as they mean it", () => {
  const html = shown(SAMPLE);
  for (const part of ["<h3>Title</h3>", "<em>text</em>", "<code>code</code>", "<li>nested</li>", "<ol start=\"1\">", "<table>", "<td class=\"align-right\">2</td>", "<blockquote>", "<hr/>", "<br/>"]) {
    expect(html).toContain(part);
  }
  expect(html).toContain('<a href="https://example.org/" target="_blank" rel="noopener noreferrer nofollow">link</a>');
  expect(html).not.toContain("<h3>no heading</h3>");
});

test("cut anywhere, a growing text ends as what the whole one is", () => {
  const whole = blocksOf(SAMPLE);
  for (let step = 1; step < 8; step++) {
    let grown = NO_BLOCKS;
    for (let end = step; end < SAMPLE.length + step; end += step) grown = blocksOf(SAMPLE.slice(0, end), grown);
    expect(grown.list).toEqual(whole.list);
  }
});

test("a growing text keeps the very blocks that are done", () => {
  const before = blocksOf("one\n\ntwo\n\nthr");
  const after = blocksOf("one\n\ntwo\n\nthree", before);
  expect(after.list[0]).toBe(before.list[0]);
  expect(after.list.map(({ source }) => source).join("")).toBe("one\n\ntwo\n\nthree");
});

test("all of the text is in its blocks", () => {
  for (const text of [SAMPLE, "[a]: http://b\n\n[a]: http://c\n\ntext", "\n\n  \nx", "a\r\n\r\nb", "\0\n\nx", "    code", ""]) {
    expect(blocksOf(text).list.map(({ source }) => source).join("")).toBe(text.trim() === "" ? "" : text);
  }
});

const HOSTILE = [
  "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<iframe src='https://evil.example'></iframe>",
  "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](java\tscript:alert(1))", "[x](&#106;avascript:alert(1))",
  "[x](data:text/html,<script>alert(1)</script>)", "[x](vbscript:x)", "[x](file:///etc/passwd)", "[x](//evil.example)", "<javascript:alert(1)>",
  "![x](https://evil.example/p.png)", "[![x](javascript:1)](javascript:2)", "[r]\n\n[r]: javascript:alert(1)", "<style>*{display:none}</style>",
  "```<script>\nx\n```", "$\\href{javascript:alert(1)}{x}$", "| <script> |\n|---|\n| <b onclick=x> |",
];

test("nothing that runs, loads or leads astray comes of hostile text", () => {
  for (const text of HOSTILE) {
    const html = shown(text);
    expect(html).not.toMatch(/<(script|img|iframe|style|b|object|embed|form|input)\b/i);
    expect(html).not.toMatch(/<[a-z][^>]*\son\w+=/i);
    for (const [, address] of html.matchAll(/href="([^"]*)"/g)) expect(address).toMatch(/^(https?:|mailto:)/);
  }
});

test("addresses are safe by what a browser makes of them", () => {
  expect(safeAddress("https://例え.jp/ü")).toBe("https://xn--r8jz45g.jp/%C3%BC");
  for (const address of ["javascript:1", " javascript:1", "java\nscript:1", "data:,x", "/api/session", "blob:https://x/y", ""]) {
    expect(safeAddress(address)).toBe(null);
  }
});

// Each of these took some parser minutes, or all of its stack.
const LARGE: Record<string, string> = {
  "1 MB of [": "[".repeat(1e6),
  "1 MB of [ on lines": "[\n".repeat(5e5),
  "1 MB of quotes": ">".repeat(1e6),
  "deep lists": Array.from({ length: 1000 }, (_, n) => `${"  ".repeat(n)}- x`).join("\n"),
  "deep emphasis": "*a **a ".repeat(3000),
  "many blocks": "x\n\n".repeat(3e5),
  "a large table": `|a|b|\n|-|-|\n${"|1|2|\n".repeat(1e5)}`,
  "backticks": "`".repeat(1e5) + "x".repeat(10),
  "1 MB of $": "$".repeat(1e6),
  "links in links": "[a](".repeat(5000),
  "one long line of code": `\`\`\`\n${"x".repeat(1e6)}\n\`\`\``,
};

for (const [name, text] of Object.entries(LARGE)) {
  test(`${name} is shown, whole, and soon`, () => {
    const html = shown(text);
    const letters = (source: string) => source.replace(/[^a-z1-9[$]/g, "").length;
    if (name !== "a large table" && !name.includes("quotes")) {
      expect(letters(html.replace(/<[^>]*>|&\w+;/g, ""))).toBeGreaterThanOrEqual(Math.min(letters(text), 3000));
    }
  }, 10_000);
}

test("a long answer that grows costs only its last block", () => {
  const paragraph = "An octopus has three hearts and nine brains.\n\n";
  let grown = NO_BLOCKS;
  for (let n = 1; n <= 1500; n++) {
    const text = paragraph.repeat(n);
    const before = grown.list;
    grown = blocksOf(text, grown);
    if (before.length > 1) expect(grown.list[before.length - 2]).toBe(before[before.length - 2]);
  }
  expect(grown.list.length).toBe(1500);
});
