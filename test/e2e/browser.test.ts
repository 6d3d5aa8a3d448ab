import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { type Browser, chromium, type Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
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
    browser = await chromium.launch(launchOptions());
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

/** A page that is open while its application changes. */
describe("Reload in a browser", function () {
  this.timeout(60_000);
  let browser: Browser;
  let directory: string;

  before(async function () {
    needsPhp(this);
    if (CHROMIUM === undefined) return skip(this, "no Chromium is installed (set CHROMIUM to its path)");
    browser = await chromium.launch(launchOptions());
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-browser-"));
  });
  afterEach(async () => {
    await stopServers();
    rmSync(directory, { recursive: true, force: true });
  });
  after(() => browser?.close());

  const write = (php: string) => {
    writeFileSync(join(directory, "new"), php);
    renameSync(join(directory, "new"), join(directory, "app.php"));
  };
  /** A streamed page, and a policy that lets no other scripts run. */
  const application = (text: string, policy: string) => `<?php
require ${JSON.stringify(join(ROOT, "php/autoload.php"))};
$http = Rrctl\\Http\\HttpWorker::create();
while ($http->waitRequest()) {
    $body = (fn () => yield from ['<!doctype html><html><body><h1>', '${text}', '</h1></bo', 'dy></html>'])();
    $http->respond(200, $body, ['Content-Type' => 'text/html', 'Content-Security-Policy' => "${policy}"]);
}
`;

  for (const policy of ["default-src 'self'", "default-src 'none'; connect-src 'self'; script-src 'nonce-abc123='"])
    it(`shows new code and old failures by itself, under ${policy}`, async () => {
      write(application("one", policy));
      const server = await ServerProcess.start({
        command: ["php", join(directory, "app.php")],
        http: { middleware: ["gzip"], gzip: { min_size: 1 } },
        reload: { interval: "50ms", dirs: [directory], browser: true },
      });
      const page = await browser.newPage();
      const title = (text: string) => page.locator("h1", { hasText: text }).waitFor();
      const overlay = page.locator("#rr-reload-failure");
      const response = await page.goto(`${server.httpUrl}/`);
      expect(await response!.headerValue("content-encoding")).to.match(/gzip|br|zstd/);
      await title("one");
      write(application("two", policy));
      await title("two");
      write("<?php this is no PHP");
      await overlay.waitFor();
      expect(await overlay.textContent())
        .to.contain("app.php")
        .and.to.contain("syntax error");
      expect(await page.locator("h1").textContent()).to.equal("two");
      await page.reload();
      await overlay.waitFor();
      write(application("three", policy));
      await title("three");
      expect(await overlay.count()).to.equal(0);
      await page.close();
    });

  it("loads a static page once for each reset, although browsers keep such pages", async () => {
    write(application("one", "default-src 'self'"));
    writeFileSync(join(directory, "page.html"), "<!doctype html><body><h1>static</h1>");
    const server = await ServerProcess.start({
      command: ["php", join(directory, "app.php")],
      http: { middleware: ["static"], static: { dir: directory, calculate_etag: true } },
      reload: { interval: "50ms", dirs: [directory], browser: true },
    });
    const page = await browser.newPage();
    let loads = 0;
    page.on("load", () => loads++);
    await page.goto(`${server.httpUrl}/page.html`);
    for (const round of [1, 2, 3]) {
      const reported = page.waitForResponse((response) => response.url().endsWith("/.rr/reload"));
      write(application(`round ${round}`, "default-src 'self'"));
      await eventually("it was loaded again", () => loads === 1 + round);
      await reported;
    }
    expect(loads).to.equal(4);
    await page.close();
  });

  it("ends with the server although pages are open, which come again to the next one", async () => {
    const policy = "default-src 'self'";
    write(application("one", policy));
    const config = { command: ["php", join(directory, "app.php")], reload: { dirs: [directory], browser: true } };
    const first = await ServerProcess.start(config);
    const page = await browser.newPage();
    await page.goto(`${first.httpUrl}/`);
    await page.waitForFunction("window.rrReload === true");
    const port = first.httpPort;
    first.signal("SIGTERM");
    expect((await first.ended(5_000)).code).to.equal(0);
    write(application("two", policy));
    await ServerProcess.start({ ...config, http: { address: `127.0.0.1:${port}` } });
    await page.locator("h1", { hasText: "two" }).waitFor();
    await page.close();
  });
});

function launchOptions() {
  return {
    executablePath: CHROMIUM!,
    // Its sandbox refuses to run as root, and uses shared memory that containers are short of.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  };
}

async function rowsOf(page: Page): Promise<Record<string, string>> {
  const rows: Record<string, string> = {};
  for (const row of await page.locator("table tr").all())
    rows[await row.locator("th").innerText()] = (await row.locator("td").textContent()) ?? "";
  return rows;
}
