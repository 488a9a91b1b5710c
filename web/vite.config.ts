import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// Every browser that runs the page reads woff2; KaTeX brings two older kinds of each font, which would only fill the wheel.
const onlyWoff2: Plugin = {
  name: "only-woff2",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("katex") && id.endsWith(".css") ? code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("[^"]*"\)/g, "") : null,
};

export default defineConfig({
  plugins: [onlyWoff2, react()],
  build: {
    outDir: "../src/tako/web",
    emptyOutDir: true,
    assetsInlineLimit: 0, // what is inlined, the policy of content would refuse
    manifest: true, // for scripts/budget.mjs
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/v1": "http://127.0.0.1:8000" } },
});
