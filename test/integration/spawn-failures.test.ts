import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { compiledRrctl } from "../support/compiled-server.ts";

interface Report {
  readonly before: { readonly fds: number; readonly entries: number };
  readonly after: { readonly fds: number; readonly entries: number };
  readonly recovered: unknown;
  readonly results: readonly { readonly reason: string; readonly message: string; readonly shortage?: string }[];
}

const SCRIPT = fileURLToPath(new URL("../fixtures/processes/spawn-failures.mjs", import.meta.url));
/** A user that nobody has, so that its processes can be counted. */
const NOBODY = ["setpriv", "--reuid=64377", "--regid=64377", "--clear-groups"];

describe("processes that cannot be started", function () {
  this.timeout(60_000);
  let directory: string;
  let modulePath: string;

  before(async function () {
    if (process.platform !== "linux") return this.skip();
    modulePath = join(dirname(await compiledRrctl()), "../src/process/child-process.js");
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-spawn-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  async function report(
    way: string,
    through: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<Report> {
    const [file, ...args] = [...through, process.execPath, SCRIPT, modulePath, way];
    const output = await new Promise<string>((resolve, reject) => {
      execFile(
        file!,
        args,
        { env: { ...process.env, TMPDIR: directory, ...env }, maxBuffer: 1 << 28 },
        (error, stdout, stderr) => (error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(stdout)),
      );
    });
    return JSON.parse(output) as Report;
  }

  /** All failed as one thing, with words that help, and nothing is left of it. */
  function check({ before, after, recovered, results }: Report, ...words: readonly RegExp[]): void {
    for (const { reason, message } of results) {
      expect(reason, message).to.equal("BOOT_FAILED");
      for (const word of words) expect(message).to.match(word);
    }
    expect(after).to.deep.equal(before);
    expect(recovered).to.equal("started");
  }

  for (const [way, ...words] of [
    ["ENOENT", /was not found/],
    ["ENOENT of the folder", /does \/no\/such\/folder exist/],
    ["EACCES", /may not be executed/],
    ["ENOTDIR", /"\/etc\/passwd\/program" is no folder/],
    ["ENOTDIR of the folder", /working directory \/etc\/passwd is no folder/],
    ["E2BIG", /environment/, /LARGE with 4000007 bytes/, /server\.env/],
  ] as const)
    it(`leave nothing behind: ${way}`, async () => {
      check(await report(way), ...words);
    });

  // With more to spare an attempt gets further before it fails.
  for (const spare of [0, 2, 4, 7, 9])
    it(`leave nothing behind: no file descriptors (${spare} are left)`, async () => {
      const through = ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh"];
      const found = await report("EMFILE", through, { SPARE_FDS: String(spare) });
      check(
        { ...found, results: found.results.filter((result) => (result as unknown) !== "started") },
        /file descriptors/,
        /LimitNOFILE=.*ulimit -n/,
      );
      expect(found.results.every((result) => (result as unknown) === "started" || result.shortage === "true")).to.equal(
        true,
      );
      if (spare === 0) expect(found.results.some(({ message }) => message !== undefined)).to.equal(true);
    });

  function needsRoot(test: Mocha.Context): void {
    if (process.getuid?.() === 0) return;
    console.log("    skipped: only root can become the user that this needs");
    test.skip();
  }

  it("leave nothing behind: no more processes of the user", async function () {
    needsRoot(this);
    const { chownSync } = await import("node:fs");
    chownSync(directory, 64377, 64377);
    check(await report("EAGAIN", [...NOBODY, "prlimit", "--nproc=60:60"]), /no more processes/, /TasksMax=.*ulimit -u/);
  });

  it("leave nothing behind: another user without the right to become it", async function () {
    needsRoot(this);
    const { chownSync } = await import("node:fs");
    chownSync(directory, 64377, 64377);
    check(await report("EPERM", NOBODY), /server\.user "0" needs root/);
  });
});
