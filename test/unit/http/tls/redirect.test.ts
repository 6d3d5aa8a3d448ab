import { expect } from "chai";
import { tlsLocation } from "../../../../src/http/tls/redirect.ts";

describe("the place of a request with TLS", () => {
  for (const [host, target, port, location] of [
    ["example.test", "/", 443, "https://example.test/"],
    ["example.test", "/a/b?c=d", 443, "https://example.test/a/b?c=d"],
    ["example.test:8080", "/", 8443, "https://example.test:8443/"],
    ["127.0.0.1:80", "/", 443, "https://127.0.0.1/"],
    ["[::1]:8080", "/", 443, "https://[::1]/"],
    ["example.test", "http://other.test/path?q", 443, "https://example.test/path?q"],
    ["example.test", "http://other.test", 443, "https://example.test/"],
    ["example.test", "http://other.test?q", 443, "https://example.test/?q"],
    ["example.test", "*", 443, "https://example.test/"],
    ["example.test", "//other.test/", 443, "https://example.test//other.test/"],
    [undefined, "/", 443, undefined],
    ["", "/", 443, undefined],
    ["example.test/evil", "/", 443, undefined],
    ["user@example.test", "/", 443, undefined],
    ["example.test:port", "/", 443, undefined],
    ["a b", "/", 443, undefined],
  ] as const)
    it(`of ${target} at ${host} is ${location}`, () => {
      expect(tlsLocation(host, target, port)).to.equal(location);
    });
});
