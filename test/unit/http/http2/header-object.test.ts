import { expect } from "chai";
import { headerObject } from "../../../../src/http/http2/http2-response.ts";

describe("the headers of a response in HTTP/2", () => {
  it("are in lower case, and lists where there are several", () => {
    expect(headerObject(["X-One", "1", "Set-Cookie", "a=1", "set-cookie", "b=2", "SET-COOKIE", "c=3"])).to.deep.equal({
      "x-one": "1",
      "set-cookie": ["a=1", "b=2", "c=3"],
    });
  });

  it("do not have what concerns a connection of HTTP/1", () => {
    const names = [
      "Connection",
      "Keep-Alive",
      "Proxy-Connection",
      "Transfer-Encoding",
      "Upgrade",
      "HTTP2-Settings",
      "TE",
    ];
    expect(headerObject(names.flatMap((name) => [name, "x"]))).to.deep.equal({});
  });

  it("have one of those of which there may be one, the last", () => {
    expect(headerObject(["Content-Type", "a/b", "content-type", "c/d", "ETag", "1", "ETag", "2"])).to.deep.equal({
      "content-type": "c/d",
      etag: "2",
    });
  });
});
