import { defineConfig } from "vitest/config";

// What the client asks for at import: it is only ever used in a browser.
export default defineConfig({ test: { setupFiles: "./src/setup.ts" } });
