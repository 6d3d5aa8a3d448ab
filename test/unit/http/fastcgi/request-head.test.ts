import { expect } from "chai";
import { requestHeadOf } from "../../../../src/http/fastcgi/request-head.ts";

describe("the head of a FastCGI request", () => {
  const head = (params: Record<string, string>) =>
    requestHeadOf(new Map(Object.entries({ REQUEST_METHOD: "GET", ...params })));

  it("is what nginx tells of a request", () => {
    const seen = head({
      QUERY_STRING: "a=b",
      REQUEST_METHOD: "POST",
      CONTENT_TYPE: "text/plain",
      CONTENT_LENGTH: "5",
      SCRIPT_NAME: "/x",
      REQUEST_URI: "/x?a=b",
      SERVER_PROTOCOL: "HTTP/2.0",
      REMOTE_ADDR: "192.0.2.7",
      REMOTE_PORT: "4711",
      SERVER_ADDR: "192.0.2.1",
      SERVER_PORT: "443",
      HTTPS: "on",
      HTTP_HOST: "example.test",
      HTTP_X_REQUEST_ID: "id",
    });
    expect(seen).to.deep.equal({
      httpVersion: "2.0",
      method: "POST",
      url: "/x?a=b",
      rawHeaders: [
        ...["Host", "example.test", "Content-Type", "text/plain"],
        ...["X-Request-Id", "id", "Content-Length", "5"],
      ],
      connection: {
        ...{ remoteAddress: "192.0.2.7", remotePort: 4711 },
        ...{ localAddress: "192.0.2.1", localPort: 443, encrypted: true },
      },
      hasBody: true,
    });
  });

  it("has a target even without REQUEST_URI", () => {
    expect(head({ SCRIPT_NAME: "/a", PATH_INFO: "/b", QUERY_STRING: "c" }).url).to.equal("/a/b?c");
    expect(head({ REQUEST_URI: "", SCRIPT_NAME: "/a" }).url).to.equal("/a");
    expect(head({}).url).to.equal("/");
  });

  for (const [name, params, host] of [
    ["the header", { HTTP_HOST: "a.test:81", SERVER_NAME: "b.test" }, "a.test:81"],
    ["the server's name", { SERVER_NAME: "b.test", SERVER_PORT: "8080" }, "b.test:8080"],
    ["the server's name without a usual port", { SERVER_NAME: "b.test", SERVER_PORT: "443" }, "b.test"],
    ["this machine", {}, "localhost"],
  ] as const)
    it(`has a host: ${name}`, () => {
      expect(head(params).rawHeaders.slice(0, 2)).to.deep.equal(["Host", host]);
    });

  it("has no headers that concern the connection, repeat others, or poison CGI programs", () => {
    const dropped = {
      ...{ HTTP_CONTENT_LENGTH: "99", HTTP_CONTENT_TYPE: "x/y", HTTP_EXPECT: "100-continue" },
      ...{ HTTP_PROXY: "http://evil.test", HTTP_TRANSFER_ENCODING: "chunked", SCRIPT_FILENAME: "/index.php" },
    };
    expect(head(dropped).rawHeaders).to.deep.equal(["Host", "localhost"]);
  });

  it("tells whether there is a body", () => {
    expect(head({ CONTENT_LENGTH: "0" }).hasBody).to.equal(false);
    expect(head({ CONTENT_LENGTH: "" }).hasBody).to.equal(false);
    expect(head({ CONTENT_LENGTH: "1" }).hasBody).to.equal(true);
  });

  it("takes the version that it knows for the one that it is", () => {
    expect(head({}).httpVersion).to.equal("1.1");
    expect(head({ SERVER_PROTOCOL: "INCLUDED" }).httpVersion).to.equal("1.1");
    expect(head({ SERVER_PROTOCOL: "HTTP/1.0" }).httpVersion).to.equal("1.0");
  });

  for (const [name, params, problem] of [
    ["no method", { REQUEST_METHOD: "" }, /REQUEST_METHOD is missing/],
    ["a method that is none", { REQUEST_METHOD: "GET /" }, /REQUEST_METHOD is missing/],
    ["a length that is none", { CONTENT_LENGTH: "1x" }, /CONTENT_LENGTH is "1x"/],
    ["a negative length", { CONTENT_LENGTH: "-1" }, /CONTENT_LENGTH is "-1"/],
    ["a length without an end", { CONTENT_LENGTH: "9".repeat(16) }, /CONTENT_LENGTH is/],
  ] as const)
    it(`is refused with ${name}`, () => {
      expect(() => head(params)).to.throw(problem);
    });
});
