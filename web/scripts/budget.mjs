// What a visitor loads for each route, gzipped, against what it may cost. Fails where it costs more.
//
// A route is the document, what it loads at once, and its own lazy chunk with all that this imports. What is loaded later,
// when the first formula or code block is shown, counts for the conversations too, and so does the form of the first run.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const ROOT = new URL("../../src/tako/web/", import.meta.url);
const KIB = 1024;
const BUDGETS = [
  { route: "conversations", entries: ["src/chat/Chat.tsx", "src/markdown/highlight.ts", "src/markdown/katex.ts"], kib: 600 },
  { route: "sign in", entries: ["src/entrance/Entrance.tsx"], kib: 250 },
  { route: "first run", entries: ["src/entrance/FirstRun.tsx"], lazy: true, kib: 250 },
  { route: "new password", entries: ["src/entrance/NewPassword.tsx"], kib: 250 },
  { route: "owner's page", entries: ["src/owner/Owner.tsx"], kib: 250 },
  { route: "migration", entries: ["src/owner/Owner.tsx", "src/owner/ferry/Migration.tsx"], kib: 250 },
];

const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", ROOT), "utf8"));

function files(entry, lazy, found = new Set(), seen = new Set()) {
  if (seen.has(entry)) return found;
  seen.add(entry);
  const chunk = manifest[entry];
  if (!chunk) throw new Error(`${entry} is no chunk of the build: has it moved?`);
  found.add(chunk.file);
  for (const file of chunk.css ?? []) found.add(file);
  for (const imported of [...(chunk.imports ?? []), ...(lazy ? (chunk.dynamicImports ?? []) : [])]) files(imported, false, found, seen);
  return found;
}

const size = (file) => gzipSync(readFileSync(new URL(file, ROOT)), { level: 9 }).length;

let failed = false;
for (const { route, entries, lazy = false, kib } of BUDGETS) {
  const loaded = new Set(["index.html", ...files("index.html", false), ...entries.flatMap((entry) => [...files(entry, lazy)])]);
  const total = [...loaded].reduce((sum, file) => sum + size(file), 0) / KIB;
  const verdict = total > kib ? "TOO LARGE" : "ok";
  failed ||= total > kib;
  console.log(`${route.padEnd(14)} ${total.toFixed(0).padStart(4)} KiB of ${kib}  ${verdict}`);
}
process.exit(failed ? 1 : 0);
