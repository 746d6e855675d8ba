import { readdirSync, readFileSync, statSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// What the page is made of, beside its own source, with its licences.
const CARRIED = ["react", "react-dom", "scheduler", "echarts", "zrender", "tslib", "elkjs"];

function licenses(): Plugin {
  const of = (name: string): string => {
    const directory = `node_modules/${name}`;
    const { version, license } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8")) as { version: string; license: string };
    const texts = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((f) => /^(licen[cs]es\/)?(licen[cs]e|notice|copyright)[^/]*$/i.test(f));
    const files = texts.map((f) => `${directory}/${f}`).filter((f) => statSync(f).isFile());
    return [`${name} ${version}: ${license}`, ...files.map((f) => readFileSync(f, "utf8"))].join("\n\n");
  };
  return {
    name: "licenses",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: CARRIED.map(of).join(`\n\n${"=".repeat(80)}\n\n`) });
    },
  };
}

export default defineConfig({
  plugins: [react(), licenses()],
  base: "/ui/",
  build: {
    outDir: "dist/ui",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's policy runs and loads only files of the server
    chunkSizeWarningLimit: 2000, // elk is one file of 1.6 MB, fetched when a graph is drawn
  },
});
