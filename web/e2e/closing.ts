import type { Reporter, TestModule } from "vitest/node";

// Closing writes the last line: how many passed, failed and were left out. In CI (CI=true) nothing may be left out.
export default class Closing implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = errors.length; // what failed outside of a test
    for (const m of modules) {
      if (m.state() === "failed" && [...m.children.allTests()].every((t) => t.result().state !== "failed")) broken++;
      for (const t of m.children.allTests()) counts[t.result().state]++;
    }
    const left = counts.skipped + counts.pending;
    if (left > 0 && process.env.CI === "true") {
      process.exitCode = 1;
      console.error(`CI leaves out no test, but ${left} were`);
    }
    console.log(`web: ${counts.passed} passed, ${counts.failed + broken} failed, ${left} skipped`);
  }
}
