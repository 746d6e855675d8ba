// Time until pages show what they are about, a new browser each time, one page after the other in turns: medians.
//
//   MIDA_CHROMIUM=$(tools/chromium.sh) TRIES=5 node bench/ui/firstview.mjs views.json
//
// views.json is a list of {"tool", "view", "url", "shows"}; shows is a selector of Playwright, such as "text=71 tasks".
// Needs web/node_modules.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

const DEADLINE = 60_000;
const AFTER = 1500; // milliseconds in which what is still on its way counts, too

async function look({ url, shows }) {
  const browser = await chromium.launch({ executablePath: process.env.MIDA_CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    const network = await page.context().newCDPSession(page);
    await network.send("Network.enable");
    let bytes = 0;
    let requests = 0;
    network.on("Network.loadingFinished", (e) => {
      bytes += e.encodedDataLength;
      requests++;
    });
    const began = performance.now();
    await page.goto(url, { waitUntil: "commit" });
    await page.locator(shows).first().waitFor({ timeout: DEADLINE });
    const seconds = (performance.now() - began) / 1000;
    await page.waitForTimeout(AFTER);
    return { seconds, kB: bytes / 1000, requests };
  } finally {
    await browser.close();
  }
}

const views = JSON.parse(readFileSync(process.argv[2], "utf8"));
const tries = views.map(() => []);
for (let i = 0; i < Number(process.env.TRIES ?? "5"); i++) {
  for (const [k, view] of views.entries()) tries[k].push(await look(view));
}
const sorted = (list, of) => list.map((t) => t[of]).sort((a, b) => a - b);
const median = (list) => list[Math.floor(list.length / 2)];
console.log("| tool | view | seconds | kB | requests |\n|---|---|---|---|---|");
for (const [k, { tool, view }] of views.entries()) {
  const s = sorted(tries[k], "seconds");
  const cells = [tool, view, `${median(s).toFixed(2)} (${s[0].toFixed(2)} to ${s.at(-1).toFixed(2)})`, median(sorted(tries[k], "kB")).toFixed(0), median(sorted(tries[k], "requests"))];
  console.log(`| ${cells.join(" | ")} |`);
}
