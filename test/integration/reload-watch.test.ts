import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { connectCore } from "../../src/client/core-client.ts";
import { type ReloadState, UNKNOWN } from "../../src/http/browser-reload/reload-state.ts";
import { watchReloads } from "../../src/http/browser-reload/reload-watch.ts";
import { eventually, within } from "../support/eventually.ts";
import { memoryLog } from "../support/memory-log.ts";
import { needsPhp } from "../support/php.ts";
import { startCore, stopCores } from "../support/test-core.ts";

describe("a frontend's watch of reloads", function () {
  this.timeout(30_000);
  let directory: string;
  before(function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-watch-"));
  });
  after(async () => {
    await stopCores();
    rmSync(directory, { recursive: true, force: true });
  });

  it("hears of resets, and finds a core again that was away", async () => {
    const listen = `unix://${join(directory, "core.sock")}`;
    const reload = { interval: "20ms", dirs: [directory] };
    const client = connectCore(listen);
    const ending = new AbortController();
    let state: ReloadState = UNKNOWN;
    const publish = (next: ReloadState) => {
      state = next;
    };
    // It waits for a core that is not there yet, too.
    const watching = watchReloads(client.events, publish, ending.signal, memoryLog().log);
    const versions = new Set<string>();
    const another = async (what: string) => {
      await eventually(what, () => state.version !== "" && !versions.has(state.version), 15_000);
      versions.add(state.version);
    };
    for (const round of [1, 2]) {
      await startCore(undefined, { listen }, { reload });
      await another(`core ${round} was found`);
      writeFileSync(join(directory, "some.php"), `<?php // ${round}`);
      await another(`the reset of core ${round} was seen`);
      await stopCores();
    }
    expect(versions.size).to.equal(4);
    ending.abort();
    await within(5_000, "it ended", watching);
    client.close();
  });
});
