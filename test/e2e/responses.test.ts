import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { expect } from "chai";
import { eventually, within } from "../support/eventually.ts";
import { needsPhp, ROOT } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 5_000;

/** What of PHP's responses is on the wire, byte by byte and in time. */
describe("Responses on the wire", function () {
  this.timeout(30_000);
  let server: ServerProcess;
  let files = 0;

  before(async function () {
    needsPhp(this);
    server = await ServerProcess.start({
      http: { max_request_size: 1, middleware: ["gzip"], gzip: { min_size: 10 } },
      pool: { num_workers: 2, stream_timeout: "500ms" },
    });
  });
  after(stopServers);

  const connection = (text: string) => new RawConnection(server.httpPort).write(text);
  const all = (text: string) => within(LIMIT_MS, "the connection closed", connection(text).all());
  const get = (path: string, ...lines: string[]) =>
    [`GET /${path} HTTP/1.1`, "Host: x", ...lines].join("\r\n").concat("\r\n\r\n");
  const CLOSE = "Connection: close";
  const newFile = () => `${server.directory}/go-${files++}`;

  it("server-sent events come one by one", async () => {
    const file = newFile();
    const client = connection(get(`events?${file}`, CLOSE));
    const first = await within(LIMIT_MS, "the first event came", client.until("data: first\n\n"));
    expect(first)
      .to.match(/Content-Type: text\/event-stream/i)
      .and.to.match(/Transfer-Encoding: chunked/i);
    expect(first).not.to.contain("second");
    writeFileSync(file, "");
    expect(await within(LIMIT_MS, "the second came", client.all())).to.match(/data: second\n\n\r\n0\r\n\r\n$/);
  });

  it("server-sent events that are compressed come one by one, too", async () => {
    const file = newFile();
    const client = connection(get(`events?${file}`, CLOSE, "Accept-Encoding: gzip"));
    const head = await within(LIMIT_MS, "the head came", client.until("\r\n\r\n"));
    expect(head).to.match(/Content-Encoding: gzip/i);
    const gunzip = createGunzip();
    let text = "";
    gunzip.on("data", (data: Buffer) => {
      text += data;
    });
    // Each chunk once it is there as a whole; what gzip has flushed can be read before its end.
    let at = client.text.indexOf("\r\n\r\n") + 4;
    const taken = () => {
      for (;;) {
        const line = /^([0-9a-f]+)\r\n/.exec(client.text.slice(at));
        const length = Number.parseInt(line?.[1] ?? "0", 16);
        if (line === null || length === 0 || client.text.length < at + line[0].length + length + 2) return text;
        gunzip.write(Buffer.from(client.text.slice(at + line[0].length).slice(0, length), "latin1"));
        at += line[0].length + length + 2;
      }
    };
    await eventually("the first event could be read", () => taken() === "data: first\n\n");
    writeFileSync(file, "");
    await eventually("the second event could be read", () => taken() === "data: first\n\ndata: second\n\n");
    client.socket.destroy();
  });

  it("trailers follow a chunked body", async () => {
    expect(await all(get("trailers", CLOSE))).to.match(
      /\r\nTrailer: X-Checksum\r\n[\s\S]*\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\nX-Checksum: 841a2d689ad86bd1611447453c22c6fc\r\n\r\n$/,
    );
  });

  it("early hints come before there is a response", async () => {
    const file = newFile();
    const client = connection(get(`early-hints?${file}`, CLOSE));
    const hints = await within(LIMIT_MS, "the hints came", client.until("\r\n\r\n"));
    expect(hints).to.equal("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
    writeFileSync(file, "");
    expect(await within(LIMIT_MS, "the page came", client.all())).to.match(/\r\n\r\nHTTP\/1\.1 200 [\s\S]*the page$/);
  });

  for (const status of [204, 304])
    it(`${status} has no body and no length of one, and the connection goes on`, async () => {
      const text = await all(get(`status?${status}`) + get("echo?next", CLOSE));
      const first = text.slice(0, text.indexOf("\r\n\r\n") + 4);
      expect(first).to.match(new RegExp(`^HTTP/1.1 ${status} `));
      expect(first).not.to.match(/Content-Length: [1-9]|Transfer-Encoding/i);
      expect(text.slice(first.length)).to.match(/^HTTP\/1\.1 200 [\s\S]*next$/);
    });

  it("HEAD has the head of GET and nothing more", async () => {
    const text = await all(get("status?200").replace("GET", "HEAD") + get("echo?next", CLOSE));
    expect(text).to.match(/^HTTP\/1\.1 200 [\s\S]*?Content-Length: 6\r\n[\s\S]*?\r\n\r\nHTTP\/1\.1 200 [\s\S]*next$/);
  });

  it("a whole body has its length, one in pieces is chunked", async () => {
    const text = await all(get("echo?whole") + get("stream?1", CLOSE));
    const [whole, pieces] = text.split(/(?<=whole)/) as [string, string];
    expect(whole)
      .to.match(/\r\nContent-Length: 5\r\n/)
      .and.not.to.match(/chunked/i);
    expect(pieces)
      .to.match(/\r\nTransfer-Encoding: chunked\r\n/)
      .and.not.to.match(/Content-Length/i);
    expect(pieces).to.match(/\r\n\r\n8\r\npiece 1;\r\n3\r\nend\r\n0\r\n\r\n$/);
  });

  it("HTTP/1.0 gets no chunks, and the end of the connection is the end", async () => {
    const text = await all("GET /stream?2 HTTP/1.0\r\n\r\n");
    expect(text).not.to.match(/chunked/i);
    expect(text).to.match(/\r\nConnection: close\r\n\r\npiece 1;piece 2;end$/i);
  });

  it("HTTP/1.0 keeps the connection if it asks and the length is known", async () => {
    const keep = "GET /echo?one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const text = await all(`${keep}GET /echo?two HTTP/1.0\r\n\r\n`);
    expect(text).to.match(/^[\s\S]*Connection: keep-alive\r\n[\s\S]*one[\s\S]*Connection: close\r\n[\s\S]*two$/i);
  });

  it("pipelined requests are answered in their order, however long the first takes", async () => {
    const text = await all(get("sleep?200") + get("echo?second") + get("echo?third", CLOSE));
    expect(text.match(/second|third|HTTP\/1\.1 200/g)).to.deep.equal([
      "HTTP/1.1 200",
      "HTTP/1.1 200",
      "second",
      "HTTP/1.1 200",
      "third",
    ]);
  });

  it("Expect: 100-continue is answered before the body is sent", async () => {
    const client = connection("PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    expect(await within(LIMIT_MS, "100 came", client.until("\r\n\r\n"))).to.equal("HTTP/1.1 100 Continue\r\n\r\n");
    client.write("body");
    expect(await within(LIMIT_MS, "the answer came", client.untilMatch(/\r\n\r\n/g, 2))).to.match(/HTTP\/1\.1 200 /);
    client.socket.destroy();
  });

  it("Expect: 100-continue with a body that is too large is answered with 413 at once", async () => {
    const text = await all("PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
    expect(text).to.match(/^HTTP\/1\.1 413 [\s\S]*Connection: close/i);
  });
});

describe("Error pages", function () {
  this.timeout(30_000);
  const path = "/print-and-throw?%3Ci%3E";
  const answers: Record<string, string> = {};

  before(async function () {
    needsPhp(this);
    const server = await ServerProcess.start({ http: { internal_error_code: 555 }, pool: { debug: true } });
    const ask = async (accept: string) => {
      const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: ${accept}\r\n\r\n`;
      return within(LIMIT_MS, "the page came", new RawConnection(server.httpPort).write(request).all());
    };
    for (const accept of ["text/html,*/*;q=0.8", "*/*", "application/problem+json"])
      answers[accept] = await ask(accept);
    const dying = `GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    answers.dying = await within(LIMIT_MS, "it died", new RawConnection(server.httpPort).write(dying).all());
  });
  after(stopServers);

  it("of debug mode show browsers the error and what was printed, without a tag of theirs", () => {
    const page = answers["text/html,*/*;q=0.8"]!;
    expect(page)
      .to.match(/^HTTP\/1\.1 555 /)
      .and.to.match(/Content-Type: text\/html; charset=utf-8/);
    expect(page).to.contain("RuntimeException: &lt;script&gt;alert(&#39;failed&#39;)&lt;/script&gt; &amp; more");
    expect(page).to.contain("&lt;b&gt;dump&lt;/b&gt; of a variable");
    expect(page).not.to.match(/<script|<b>dump|<i>/);
  });

  it("of debug mode are plain text for everybody else", () => {
    const text = answers["*/*"]!;
    expect(text)
      .to.match(/Content-Type: text\/plain/)
      .and.to.contain("<script>alert('failed')</script> & more");
    expect(text).to.match(/Printed, and written to the error output:\n[\s\S]*<b>dump<\/b> of a variable\n/);
  });

  it("of debug mode are problem documents for who asks for them", () => {
    const problem = JSON.parse(answers["application/problem+json"]!.split("\r\n\r\n")[1]!);
    expect(problem).to.include({ status: 555, reason: "WORKER_ERROR" });
    expect(problem.last_output).to.contain("<b>dump</b> of a variable");
  });

  it("of debug mode show exceptions that the PHP library caught", async () => {
    const command = `php ${join(ROOT, "examples/limits/worker.php")}`;
    const server = await ServerProcess.start({ command, pool: { debug: true } });
    const request = "GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/html\r\n\r\n";
    const page = await within(LIMIT_MS, "the page came", new RawConnection(server.httpPort).write(request).all());
    expect(page)
      .to.match(/^HTTP\/1\.1 500 /)
      .and.to.match(/<pre>RuntimeException: this was thrown in .*worker\.php:\d+/);
  });

  it("of debug mode show the last output of a worker that died", () => {
    expect(answers.dying).to.match(/Printed, and written to the error output:\n[\s\S]*nobody catches this/);
  });
});
