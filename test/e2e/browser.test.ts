import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { type Browser, chromium, type Page } from "playwright-core";
import { needsPhp, ROOT, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Where systems keep it; CHROMIUM names another. */
const CHROMIUM = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
].find((path) => path !== undefined && path !== "" && existsSync(path));

/** The demo application, as people meet it. */
describe("The demo in a browser", function () {
  this.timeout(60_000);
  let browser: Browser;
  let page: Page;
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    if (CHROMIUM === undefined) return skip(this, "no Chromium is installed (set CHROMIUM to its path)");
    server = await ServerProcess.start({ command: ["php", join(ROOT, "php/examples/demo/worker.php")] });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      // Its sandbox refuses to run as root, and uses shared memory that containers are short of.
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
    page = await browser.newPage();
  });
  after(async () => {
    await browser?.close();
    await stopServers();
  });

  it("shows its routes", async () => {
    const response = await page.goto(`${server.httpUrl}/`);
    expect(response?.status()).to.equal(200);
    expect(await page.title()).to.equal("It works");
    expect(await page.locator("ul.routes a").count()).to.be.greaterThan(5);
  });

  it("takes a form", async () => {
    await page.goto(`${server.httpUrl}/form`);
    await page.fill("input[name=name]", "Zoë & <b>Ada</b>");
    await page.fill("textarea", "two\nlines");
    await page.check("input[value=tea]");
    await page.check("input[value=coffee]");
    await page.click("button");
    expect(await rowsOf(page)).to.deep.equal({
      name: "Zoë & <b>Ada</b>",
      // HTML knows one line end.
      message: "two\nlines",
      "likes[0]": "tea",
      "likes[1]": "coffee",
    });
  });

  it("takes files", async () => {
    const contents = { "one.txt": Buffer.from("first"), "zwei ü.bin": randomBytes(500_000) };
    await page.goto(`${server.httpUrl}/upload`);
    await page.setInputFiles(
      "input[type=file]",
      Object.entries(contents).map(([name, buffer]) => ({ name, mimeType: "text/plain", buffer })),
    );
    await page.click("button");
    const rows = Object.values(await rowsOf(page));
    expect(rows).to.deep.equal(
      Object.entries(contents).map(([name, buffer]) => {
        const hash = createHash("sha1").update(buffer).digest("hex");
        return `${name}, text/plain, ${buffer.length} bytes, SHA-1 ${hash}`;
      }),
    );
  });

  it("follows a stream of server-sent events to its end", async () => {
    await page.goto(`${server.httpUrl}/events`);
    const ticks = page.locator("#ticks li");
    await ticks.first().waitFor();
    expect(await ticks.count(), "ticks come one by one").to.be.lessThan(10);
    await ticks.nth(9).waitFor();
    expect(await ticks.allTextContents()).to.satisfy((texts: string[]) =>
      texts.every((text, at) => text.startsWith(`tick ${at + 1} at `)),
    );
  });
});

async function rowsOf(page: Page): Promise<Record<string, string>> {
  const rows: Record<string, string> = {};
  for (const row of await page.locator("table tr").all())
    rows[await row.locator("th").innerText()] = (await row.locator("td").textContent()) ?? "";
  return rows;
}
