import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { RrError } from "../../../src/errors.ts";
import { encodeFrame, FLAG } from "../../../src/goridge/frame.ts";
import { goridge3 } from "../../../src/goridge/goridge3.ts";
import { silentLog } from "../../../src/log.ts";
import type { Address } from "../../../src/net/address.ts";
import { SocketListener } from "../../../src/relay/socket-listener.ts";
import { leaveDeadSocket } from "../../support/dead-socket.ts";
import { eventually, within } from "../../support/eventually.ts";
import { freePort } from "../../support/pool-options.ts";

describe("SocketListener", () => {
  let address: Address & { kind: "tcp" };
  let listener: SocketListener;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    address = { kind: "tcp", host: "127.0.0.1", port: await freePort() };
    listener = await SocketListener.open(address, { mode: 0o600 }, goridge3, silentLog);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    listener.close();
  });

  /** A worker that connects; it has been asked who it is when this resolves. */
  async function worker(): Promise<Socket> {
    const socket = connect(address.port, address.host);
    socket.on("error", () => {});
    sockets.push(socket);
    const [asked] = (await once(socket, "data")) as [Buffer];
    expect(asked.toString("hex")).to.equal(goridge3.encodePid(process.pid).toString("hex"));
    return socket;
  }

  const introduction = (pid: number) => encodeFrame(FLAG.CONTROL, 0, [], Buffer.from(`{"pid":${pid}}`));
  const received = (relay: Awaited<ReturnType<SocketListener["expect"]>>) => {
    const pieces: Buffer[] = [];
    relay.start({ data: (chunk) => pieces.push(chunk), closed: () => {} });
    return () => Buffer.concat(pieces).toString();
  };

  it("tells by the answer whose connection it is, whoever comes first", async () => {
    const [one, two] = [await worker(), await worker()];
    const [first, second] = [listener.expect(11), listener.expect(22)];
    two.write(introduction(22));
    one.write(introduction(11));
    const texts = [received(await first), received(await second)];
    one.write("from 11");
    two.write("from 22");
    await eventually("both were read", () => texts[0]!() === "from 11" && texts[1]!() === "from 22");
  });

  it("keeps a worker that connects before it is expected", async () => {
    const socket = await worker();
    socket.write(introduction(33));
    // Another worker's introduction shows that the first one was read.
    const other = await worker();
    const expected = listener.expect(44);
    other.write(introduction(44));
    (await expected).destroy();
    const relay = await within(1_000, "the early worker was found", listener.expect(33));
    relay.write([Buffer.from("hello")]);
    expect(String((await once(socket, "data"))[0])).to.equal("hello");
    relay.destroy();
  });

  it("delays nobody for the sake of one that says nothing", async () => {
    await worker();
    const expected = listener.expect(55);
    (await worker()).write(introduction(55));
    (await within(1_000, "the second worker was found", expected)).destroy();
  });

  it("closes a connection that answers something else", async () => {
    const socket = await worker();
    const closed = once(socket, "close");
    socket.write(encodeFrame(0, 0, [0], Buffer.from("a reply")));
    await within(1_000, "the connection was closed", closed);
  });

  it("believes no connection that is not that of the process it names", async () => {
    listener.close();
    address = { ...address, port: await freePort() };
    listener = await SocketListener.open(address, { mode: 0o600 }, goridge3, silentLog, async (_ends, pid) =>
      pid === 77 ? "proven" : "refuted",
    );
    const expected = listener.expect(77);
    const other = listener.expect(88);
    const stranger = await worker();
    const closed = once(stranger, "close");
    stranger.write(introduction(88));
    await within(1_000, "the stranger was turned away", closed);
    (await worker()).write(introduction(77));
    (await within(1_000, "the worker was found", expected)).destroy();
    listener.forget(88);
    void other;
  });

  it("closes one that nobody expects any more", async () => {
    const socket = await worker();
    socket.write(introduction(66));
    const closed = once(socket, "close");
    await eventually("it was forgotten", () => {
      listener.forget(66);
      return socket.destroyed || socket.readableEnded || socket.closed;
    });
    await closed;
  });

  it("says who could not listen where", async () => {
    const error = await SocketListener.open(address, { mode: 0o600 }, goridge3, silentLog).then(
      () => undefined,
      (thrown: RrError) => thrown,
    );
    expect(error?.reason).to.equal("BOOT_FAILED");
    expect(error?.message).to.contain(`127.0.0.1:${address.port}`).and.contain("server.relay");
  });

  it("replaces the socket file of a former run", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rr-test-socket-"));
    const path = join(directory, "relay.sock");
    await leaveDeadSocket(path);
    const unix = await SocketListener.open({ kind: "unix", path }, { mode: 0o600 }, goridge3, silentLog);
    expect(existsSync(path)).to.equal(true);
    unix.close();
    expect(existsSync(path)).to.equal(false);
    rmSync(directory, { recursive: true });
  });
});
