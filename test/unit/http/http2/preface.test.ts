import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { expect } from "chai";
import { looksLikeHttp2, sniffHttp2 } from "../../../../src/http/http2/preface.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

describe("the preface of HTTP/2", () => {
  it("is known when it is there, and not before", () => {
    for (let length = 1; length < PREFACE.length; length++)
      expect(looksLikeHttp2(Buffer.from(PREFACE.slice(0, length))), `${length} bytes`).to.equal(undefined);
    expect(looksLikeHttp2(Buffer.from(PREFACE))).to.equal(true);
    expect(looksLikeHttp2(Buffer.from(`${PREFACE}more`))).to.equal(true);
  });

  it("is nothing else", () => {
    for (const text of ["GET / HTTP/1.1\r\n", "P", "PR", "PRI", "POST /", "PRI * HTTP/2.0\r\n\r\nXX", "\x16\x03\x01"])
      expect(looksLikeHttp2(Buffer.from(text)), text).to.equal(PREFACE.startsWith(text) ? undefined : false);
    expect(looksLikeHttp2(Buffer.from("PUT / HTTP/1.1"))).to.equal(false);
  });

  /** Who gets a connection on which these pieces come, and all that it can read. */
  async function takenBy(pieces: string[], timeoutMs = 5_000): Promise<[string, string]> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const taken = new Promise<[string, string]>((resolve) => {
        server.once("connection", (socket: Socket) => {
          const read = (name: string) => async (one: Socket) => {
            let text = "";
            for await (const piece of one) text += piece;
            resolve([name, text]);
          };
          sniffHttp2(socket, timeoutMs, read("http1"), read("http2"));
        });
      });
      const client = connect((server.address() as { port: number }).port, "127.0.0.1");
      client.setNoDelay(true);
      await once(client, "connect");
      for (const piece of pieces) {
        client.write(piece, "latin1");
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (timeoutMs === 0) {
        // The one who gets it waits for the end.
        setTimeout(() => client.end(), 20);
      } else client.end();
      return await taken;
    } finally {
      server.close();
    }
  }

  it("leads to HTTP/2, with all bytes, however they come", async () => {
    expect(await takenBy([`${PREFACE}frames`])).to.deep.equal(["http2", `${PREFACE}frames`]);
    expect(await takenBy([..."PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "frames"])).to.deep.equal([
      "http2",
      `${PREFACE}frames`,
    ]);
  });

  it("leads to HTTP/1 where it is another one", async () => {
    const request = "POST / HTTP/1.1\r\n\r\n";
    expect(await takenBy([request])).to.deep.equal(["http1", request]);
    expect(await takenBy(["P", request.slice(1)])).to.deep.equal(["http1", request]);
  });

  it("leads to HTTP/1, which knows what to say, where it does not come to its end in time", async () => {
    expect(await takenBy(["PRI * HT"], 0)).to.deep.equal(["http1", "PRI * HT"]);
  });
});
