import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { findServers } from "../../../src/presence/find-server.ts";
import { Presence } from "../../../src/presence/presence.ts";
import { notePath, writeNote } from "../../../src/presence/run-file.ts";
import { claimRunFolder, type RunSettings } from "../../../src/presence/run-folders.ts";
import { runKeys } from "../../../src/presence/run-keys.ts";
import { memoryLog } from "../../support/memory-log.ts";

const uid = process.getuid?.();

describe("presence", () => {
  let root: string;
  let settings: RunSettings;
  let listeners: Server[];
  let running: Presence[];

  before(function () {
    if (uid === undefined) this.skip();
  });
  beforeEach(() => {
    // Short: the path of a socket has a limit.
    root = mkdtempSync(join(tmpdir(), "p"));
    for (const name of ["run", "tmp", "app"]) mkdirSync(join(root, name));
    settings = {
      uid,
      userRuntimeDirectory: undefined,
      temporaryDirectories: [join(root, "tmp")],
      systemDirectory: join(root, "run"),
    };
    writeFileSync(join(root, "app/.rr.yaml"), "");
    listeners = [];
    running = [];
  });
  afterEach(async () => {
    for (const presence of running) presence.close();
    await Promise.all(listeners.map((server) => new Promise((resolve) => server.close(resolve))));
    rmSync(root, { recursive: true });
  });

  const listen = (path: string) =>
    new Promise<void>((resolve, reject) => {
      const server = createServer((socket) => socket.destroy());
      server.once("error", reject);
      server.listen(path, () => {
        listeners.push(server);
        resolve();
      });
    });
  const start = async (directory = join(root, "app"), shown?: string, isShared = false): Promise<string> => {
    const presence = Presence.claim({
      configFile: join(directory, ".rr.yaml"),
      workingDirectory: directory,
      shownDirectory: shown,
      settings,
      isShared,
      log: memoryLog().log,
    });
    running.push(presence);
    const address = await presence.openSocket(listen);
    await presence.announce(address);
    return address;
  };
  const find = async (directory = join(root, "app"), shown?: string) =>
    (await findServers(".rr.yaml", directory, shown, settings)).map(({ address }) => address);

  it("is found by the configuration, and by no other", async () => {
    const address = await start();
    expect(await find()).to.deep.equal([address]);
    mkdirSync(join(root, "other"));
    writeFileSync(join(root, "other/.rr.yaml"), "");
    expect(await find(join(root, "other"))).to.deep.equal([]);
    running[0]!.close();
    expect(await find()).to.deep.equal([]);
  });

  it("is found after its project was moved", async () => {
    const address = await start();
    renameSync(join(root, "app"), join(root, "moved"));
    expect(await find(join(root, "moved"))).to.deep.equal([address]);
  });

  it("is found by the link to the current release, after it leads to the next one", async () => {
    for (const release of ["r1", "r2"]) {
      mkdirSync(join(root, release));
      writeFileSync(join(root, release, ".rr.yaml"), "");
    }
    const current = join(root, "current");
    symlinkSync("r1", current);
    // A shell's working directory is the link, a process's is where it leads.
    const address = await start(join(root, "r1"), current);
    unlinkSync(current);
    symlinkSync("r2", current);
    expect(await find(join(root, "r2"), current)).to.deep.equal([address]);
    expect(await find(join(root, "r2"))).to.deep.equal([]);
    const next = await start(join(root, "r2"), current);
    expect(await find(join(root, "r2"), current)).to.deep.equal([next]);
    expect(await find(join(root, "r1"))).to.deep.equal([address]);
  });

  it("is not found by $PWD that is not true any more", async () => {
    await start();
    mkdirSync(join(root, "elsewhere"));
    writeFileSync(join(root, "elsewhere/.rr.yaml"), "");
    expect(await find(join(root, "elsewhere"), join(root, "app"))).to.deep.equal([]);
  });

  it("has a socket of its own for each server of one configuration", async () => {
    const addresses = [await start(), await start(), await start()];
    expect(new Set(addresses).size).to.equal(3);
    expect(await find()).to.have.members(addresses);
    running[1]!.close();
    expect(await find()).to.have.members([addresses[0], addresses[2]]);
  });

  it("takes the place of a server that was killed", async () => {
    const address = await start();
    const [server] = listeners.splice(0);
    // What is left of it: its notes, and a socket that nobody listens on.
    await new Promise((resolve) => server!.close(resolve));
    expect(await find()).to.deep.equal([]);
    expect(await start()).to.equal(address);
    expect(await find()).to.deep.equal([address]);
  });

  it("removes what servers of other configurations have left that were killed, and nothing else", async () => {
    mkdirSync(join(root, "other"));
    writeFileSync(join(root, "other/.rr.yaml"), "");
    const live = await start();
    const folder = dirname(live.slice("unix://".length));
    const before = readdirSync(folder);
    const key = "0123456789abcdef";
    const nobody = 4_194_999;
    const left = (name: string, pid: number) =>
      writeNote(join(folder, name), { pid, address: `unix://${join(folder, `${key}.sock`)}`, configFile: "" });
    // A process that is killed removes no socket.
    const dies = `require("net").createServer().listen(${JSON.stringify(join(folder, `${key}.sock`))}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ["-e", dies]);
    expect(readdirSync(folder)).to.include(`${key}.sock`);
    left(`${key}.json`, nobody);
    left(`${key}-2.json`, nobody);
    left(`${key}-3.json.${nobody}`, nobody);
    left(`${key}-4.json`, process.pid);
    left("of-somebody-else.json", nobody);
    writeFileSync(join(folder, `${key}-5.sock`), "no socket");
    const next = await start(join(root, "other"));
    expect(readdirSync(folder)).to.include.members([
      ...before,
      `${key}-4.json`,
      `${key}-5.sock`,
      "of-somebody-else.json",
    ]);
    expect(readdirSync(folder)).not.to.include.oneOf([
      `${key}.sock`,
      `${key}.json`,
      `${key}-2.json`,
      `${key}-3.json.${nobody}`,
    ]);
    expect(await find()).to.deep.equal([live]);
    expect(await find(join(root, "other"))).to.deep.equal([next]);
  });

  it("does not keep a server from its start when no note can be written, and leaves no part of one", async () => {
    const [[key]] = runKeys(".rr.yaml", join(root, "app"), undefined) as [[string]];
    const claimed = claimRunFolder(settings, false) as { path: string };
    // As good as a disk that is full: there is no way to write it.
    mkdirSync(notePath(claimed.path, key, 0));
    const address = await start();
    expect(readdirSync(claimed.path).filter((name) => name.endsWith(`.${process.pid}`))).to.deep.equal([]);
    // By the other names it is found.
    expect(await find()).to.deep.equal([address]);
  });

  it("prefers /run, and takes the user's own folder where that is not his", () => {
    const user = join(root, "user");
    mkdirSync(user, { mode: 0o700 });
    const own = { ...settings, userRuntimeDirectory: user };
    if (uid === 0) expect(claimRunFolder(own, false)).to.deep.equal({ path: join(root, "run/rrctl") });
    const missing = { ...own, systemDirectory: join(root, "none") };
    expect(claimRunFolder(missing, false)).to.deep.equal({ path: join(user, "rrctl") });
    // A group gets nowhere in a folder that only the user enters.
    expect(claimRunFolder(missing, true)).to.deep.equal({ path: join(root, `tmp/rrctl-${uid}`) });
  });

  it("uses no folder that others have made or may change", function () {
    if (uid !== 0) return this.skip();
    const mine = join(root, "tmp/rrctl-0");
    const only = { ...settings, systemDirectory: join(root, "none") };
    mkdirSync(mine);
    chownSync(mine, 65_534, 65_534);
    const refused = claimRunFolder(only, false);
    expect("problems" in refused && refused.problems.join()).to.contain("belongs to another user (uid 65534)");
    rmSync(mine, { recursive: true });
    symlinkSync(join(root, "app"), mine);
    expect(claimRunFolder(only, false)).to.have.property("problems");
  });

  it("is not looked for in folders that others have made or may change", async function () {
    if (uid !== 0) return this.skip();
    const [[key]] = runKeys(".rr.yaml", join(root, "app"), undefined) as [[string]];
    const address = `unix://${join(root, "fake.sock")}`;
    await listen(join(root, "fake.sock"));
    const folder = join(root, "tmp/rrctl-0");
    mkdirSync(folder, { mode: 0o700 });
    writeNote(notePath(folder, key, 0), { pid: 1, address, configFile: "" });
    expect(await find()).to.deep.equal([address]);
    chmodSync(folder, 0o777);
    expect(await find()).to.deep.equal([]);
    chmodSync(folder, 0o700);
    chownSync(folder, 65_534, 65_534);
    expect(await find()).to.deep.equal([]);
    // The owner of the configuration decides what is served; he may as well say where.
    chownSync(join(root, "app/.rr.yaml"), 65_534, 65_534);
    renameSync(folder, join(root, "tmp/rrctl-65534"));
    expect(await find()).to.deep.equal([address]);
  });

  it("does not believe notes that are none", async () => {
    const folder = join(root, `tmp/rrctl-${uid}`);
    mkdirSync(folder, { mode: 0o700 });
    const [[key]] = runKeys(".rr.yaml", join(root, "app"), undefined) as [[string]];
    for (const text of ["", "{", "[]", '{"pid":1}', '{"pid":1,"address":"tcp://10.0.0.1:1","configFile":""}']) {
      writeFileSync(notePath(folder, key, 0), text);
      expect(await find(), text).to.deep.equal([]);
    }
  });
});
