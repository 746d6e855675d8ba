import { defineConfig } from "vitest/config";

// Two kinds of tests: units of the source, and the UI in a real browser over real servers (e2e).
export default defineConfig({
  test: {
    reporters: ["default", "./e2e/closing.ts"],
    projects: [
      { test: { name: "unit", include: ["src/**/*.test.ts"], environment: "node" } },
      {
        test: {
          name: "e2e",
          include: process.env.MIDA_UI_PICTURES ? ["e2e/**/*.shots.ts"] : process.env.MIDA_UI_BENCH ? ["e2e/**/*.bench.ts"] : ["e2e/**/*.e2e.ts"],
          environment: "node",
          globalSetup: "./e2e/setup.ts",
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
