import { expect } from "chai";
import fc from "fast-check";
import { insertion, scriptFilter } from "../../../../src/http/browser-reload/script-tag.ts";
import type { RequestScope } from "../../../../src/http/request-scope.ts";
import { HeadDraft } from "../../../../src/http/response-filter.ts";

const HTML = ["Content-Type", "text/html; charset=utf-8"];

function filtered(headers: string[], { status = 200, method = "GET", request = {} } = {}) {
  const head = new HeadDraft(status, headers);
  const scope = { incoming: { method, headers: request } } as unknown as RequestScope;
  const change = scriptFilter("/reload.js?v=1")(head, scope);
  return { head, encoder: change?.kind === "encode" ? change.encoder : undefined };
}

function whole(body: string, headers = HTML): string {
  let text = "";
  filtered(headers).encoder!.whole(Buffer.from(body), (_error, encoded) => {
    text = Buffer.from(encoded).toString();
  });
  return text;
}

async function streamed(pieces: readonly string[], flush = false): Promise<string> {
  const stream = insertion(Buffer.from("<tag>")).stream();
  for (const piece of pieces) {
    stream.write(Buffer.from(piece));
    if (flush) stream.flush();
  }
  stream.end();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const TAG = '<script src="/reload.js?v=1" async></script>';

describe("script tag of pages", () => {
  for (const [page, expected] of [
    ["<body>ä</body></html>", `<body>ä${TAG}</body></html>`],
    ["<BODY>x</BODY >\r\n</HTML>\n", `<BODY>x${TAG}</BODY >\r\n</HTML>\n`],
    ["<p>x</html>", `<p>x${TAG}</html>`],
    ["<p>no end tags", `<p>no end tags${TAG}`],
    ["<script>write('</body>')</script><p>", `<script>write('</body>')</script><p>${TAG}`],
    ["</body></html><!-- 3 ms -->", `</body></html><!-- 3 ms -->${TAG}`],
    ["a <", `a <${TAG}`],
  ] as const)
    it(`is in its place in ${JSON.stringify(page)}`, () => expect(whole(page)).to.equal(expected));

  it("is in the same place if the page comes in pieces, whatever the pieces", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("<body>", "text", "<", "</", "bo", "dy", ">", "</body>", "</html>", "\n", "ä"), {
          maxLength: 12,
        }),
        async (pieces) => {
          let expected = "";
          insertion(Buffer.from("<tag>")).whole(Buffer.from(pieces.join("")), (_error, encoded) => {
            expected = Buffer.from(encoded).toString();
          });
          expect(await streamed(pieces)).to.equal(expected);
        },
      ),
    ));

  it("holds nothing back but what may be end tags", async () => {
    const stream = insertion(Buffer.from("<tag>")).stream();
    let seen = "";
    stream.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    for (const [piece, expected] of [
      ["<p>first", "<p>first"],
      ["<p>second</bo", "<p>first<p>second"],
      ["dy>\n", "<p>first<p>second"],
      ["<p>", "<p>first<p>second</body>\n<p>"],
    ] as const) {
      await new Promise((resolve) => stream.write(Buffer.from(piece), resolve));
      await new Promise(setImmediate);
      expect(seen).to.equal(expected);
    }
    stream.destroy();
  });

  it("takes away what was true of the bytes before", () => {
    const before = ["ETag", '"a"', "Accept-Ranges", "bytes", "Digest", "x", "Last-Modified", "then"];
    const { head } = filtered([...HTML, ...before, "X-Mine", "y", "cache-control", "max-age=9"]);
    expect(head.headers).to.deep.equal([...HTML, "X-Mine", "y", "Cache-Control", "no-store"]);
  });

  for (const [policy, nonce] of [
    ["script-src 'self' 'nonce-AbC+/=='", "AbC+/=="],
    ["default-src 'nonce-d'; Script-Src 'nonce-s'", "s"],
    ["default-src 'nonce-d'; style-src 'nonce-s'", "d"],
    ["style-src 'nonce-s'; script-src 'self'", undefined],
    ["script-src 'nonce-\"><b>'", undefined],
  ] as const)
    it(`has the nonce of the policy ${policy}`, () => {
      const expected = nonce === undefined ? "async>" : `async nonce="${nonce}">`;
      expect(whole("", [...HTML, "Content-Security-Policy", policy])).to.contain(expected);
    });

  for (const [what, headers, options] of [
    ["HEAD", HTML, { method: "HEAD" }],
    ["304", HTML, { status: 304 }],
    ["204", HTML, { status: 204 }],
    ["a part", HTML, { status: 206 }],
    ["JSON", ["Content-Type", "application/json"], {}],
    ["no type", [], {}],
    ["another HTML", ["Content-Type", "text/html-fragment"], {}],
    ["UTF-16", ["Content-Type", "text/html; charset=utf-16"], {}],
    ["what is compressed", [...HTML, "Content-Encoding", "gzip"], {}],
    ["a download", [...HTML, "Content-Disposition", "attachment; filename=a.html"], {}],
    ["X-Sendfile", [...HTML, "X-Sendfile", "/a.html"], {}],
    ["what a script asks for", HTML, { request: { "sec-fetch-dest": "empty" } }],
    ["what an old script asks for", HTML, { request: { "x-requested-with": "XMLHttpRequest" } }],
  ] as const)
    it(`stays away from ${what}`, () => {
      const { head, encoder } = filtered([...headers, "ETag", '"a"'], options);
      expect(encoder).to.equal(undefined);
      expect(head.headers).to.deep.equal([...headers, "ETag", '"a"']);
    });

  it("is in errors as well, and in documents that browsers ask for", () => {
    expect(filtered(HTML, { status: 500 }).encoder).not.to.equal(undefined);
    expect(filtered(HTML, { request: { "sec-fetch-dest": "document" } }).encoder).not.to.equal(undefined);
  });
});
