import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { StreamServer } from "../../../src/net/stream-server.ts";
import { eventually } from "../../support/eventually.ts";

describe("a socket that is kept in its place", () => {
  let directory: string;
  let path: string;
  let server: StreamServer;
  const accepted: Socket[] = [];
  const told: { message: string; restored: boolean }[] = [];

  before(function () {
    if (process.platform === "win32") this.skip();
  });
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "rr-kept-"));
    path = join(directory, "s");
    told.length = 0;
    server = await StreamServer.open({
      what: "tests",
      key: "test.listen",
      address: { kind: "unix", path },
      rights: { mode: 0o600 },
      accept: (socket) => {
        accepted.push(socket);
        socket.on("data", (data) => socket.write(data));
      },
      lost: (message, restored) => told.push({ message, restored }),
    });
  });
  afterEach(() => {
    server.close();
    for (const socket of accepted.splice(0)) socket.destroy();
    rmSync(directory, { recursive: true, force: true });
  });

  async function echo(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    return new Promise((resolve, reject) => {
      socket.once("data", (data) => resolve(data.toString()));
      socket.once("error", reject);
    });
  }

  it("is there again after somebody removed it; who was connected stays so", async () => {
    const old = connect(path);
    expect(await echo(old, "before")).to.equal("before");
    rmSync(path);
    await eventually("it was told", () => told.length > 0);
    expect(told[0]!.restored).to.equal(true);
    expect(told[0]!.message).to.contain(path).and.contain("made again");
    const fresh = connect(path);
    expect(await echo(fresh, "after")).to.equal("after");
    expect(await echo(old, "still")).to.equal("still");
    for (const socket of [old, fresh]) socket.destroy();
  });

  it("says once what stands in its place, and takes it when that is gone", async () => {
    rmSync(path);
    writeFileSync(path, "");
    await eventually("it was told", () => told.length > 0);
    expect(told[0]).to.deep.include({ restored: false });
    expect(told[0]!.message).to.contain("there is a file");
    rmSync(path);
    await eventually("it was there again", () => told.some(({ restored }) => restored));
    expect(told).to.have.length(2);
  });
});

describe("an address that cannot be had", () => {
  const open = (address: Parameters<typeof StreamServer.open>[0]["address"]) =>
    StreamServer.open({
      what: "tests",
      key: "test.listen",
      address,
      rights: { mode: 0o600 },
      accept: (socket) => socket.destroy(),
      lost: () => {},
    });
  const messageOf = (work: Promise<StreamServer>) =>
    work.then(
      (server) => server.close() as never,
      (error: Error) => error.message,
    );

  it("is explained: the port, the name, the interface, the folder", async () => {
    const first = await open({ kind: "tcp", host: "localhost", port: 0 });
    const { port } = first.address as { port: number };
    const used = await messageOf(open({ kind: "tcp", host: "localhost", port }));
    first.close();
    expect(used)
      .to.contain(`cannot listen for tests on localhost:${port}: the port is in use`)
      .and.contain("test.listen");
    expect(await messageOf(open({ kind: "tcp", host: "198.51.100.7", port: 0 }))).to.contain("no such address");
    expect(await messageOf(open({ kind: "unix", path: "/no/such/folder/s" }))).to.contain(
      "the folder /no/such/folder does not exist",
    );
  });

  it("is both families when no host is named", async () => {
    const server = await open({ kind: "tcp", host: "", port: 0 });
    const { port } = server.address as { port: number };
    for (const host of ["127.0.0.1", "::1"])
      await new Promise<void>((resolve, reject) => connect(port, host, resolve).on("error", reject));
    server.close();
  });
});
