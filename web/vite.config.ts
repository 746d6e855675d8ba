import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  base: "/ui/",
  build: {
    outDir: "dist/ui",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's policy runs and loads only files of the server
    chunkSizeWarningLimit: 2000, // elk is one file of 1.6 MB, fetched when a graph is drawn
  },
});
