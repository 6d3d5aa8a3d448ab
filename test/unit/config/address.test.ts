import { expect } from "chai";
import { addressForPhp, parseAddress, parseHttpAddress, parseRelay } from "../../../src/config/address.ts";

const tcp = (host: string, port: number) => ({ kind: "tcp", host, port }) as const;
const unix = (path: string) => ({ kind: "unix", path }) as const;

describe("config addresses", () => {
  for (const [text, expected] of [
    ["tcp://127.0.0.1:6001", tcp("127.0.0.1", 6001)],
    ["TCP://localhost:6001", tcp("localhost", 6001)],
    ["127.0.0.1:6001", tcp("127.0.0.1", 6001)],
    [":6001", tcp("", 6001)],
    ["tcp://:6001", tcp("", 6001)],
    ["tcp://[::1]:6001", tcp("::1", 6001)],
    ["tcp://[0:0:0:0:0:0:0:1]:6005", tcp("::1", 6005)],
    ["[2001:DB8:0:0:0:0:0:1]:80", tcp("2001:db8::1", 80)],
    ["[::]:0", tcp("::", 0)],
    ["unix:///run/rr.sock", unix("/run/rr.sock")],
    ["unix://rr.sock", unix("/app/rr.sock")],
    ["unix:rr.sock", unix("/app/rr.sock")],
  ] as const)
    it(`reads ${text}`, () => {
      expect(parseAddress(text, "/app")).to.deep.equal(expected);
    });

  for (const [text, detail] of [
    ["6001", ': a port alone is written ":6001"'],
    ["localhost", ": the port is missing"],
    ["localhost:http", ""],
    ["localhost:65536", ": a port is at most 65535"],
    ["::1:6001", ": an IPv6 address stands in brackets, as in [::1]:8080"],
    ["[x]:1", ": [x] is no IPv6 address"],
    ["256.0.0.1:80", ": 256.0.0.1 is no IPv4 address"],
    ["udp://127.0.0.1:1", ""],
    ["", ""],
    ["a b:80", ""],
  ] as const)
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = `expected "tcp://host:port" or "unix://path", got ${JSON.stringify(text)}${detail}`;
      expect(parseAddress(text, "/app")).to.deep.equal({ error });
    });

  it("refuses a socket whose path the kernel cuts", () => {
    const long = `unix:///${"x".repeat(120)}`;
    expect(parseAddress(long, "/app")).to.have.property("error").that.contains("at most");
  });

  it("reads addresses of HTTP, and no sockets there", () => {
    expect(parseHttpAddress(":8080")).to.deep.equal(tcp("", 8080));
    expect(parseHttpAddress("http://localhost:8080/")).to.deep.equal(tcp("localhost", 8080));
    expect(parseHttpAddress("unix://x")).to.deep.equal({ error: 'expected "host:port" or ":port", got "unix://x"' });
  });

  it("reads relays", () => {
    expect(parseRelay("pipes", "/app")).to.deep.equal({ kind: "pipes" });
    expect(parseRelay("pipes://stdin:stdout", "/app")).to.deep.equal({ kind: "pipes" });
    expect(parseRelay("unix://rr.sock", "/app")).to.deep.equal(unix("/app/rr.sock"));
    expect(parseRelay("tcp://127.0.0.1:7000", "/app")).to.deep.equal(tcp("127.0.0.1", 7000));
  });

  for (const text of ["pipe", "127.0.0.1:7000", "tcp://127.0.0.1:0", "tcp://[fe80::1]:7000", "tcp://x"])
    it(`refuses the relay ${text}`, () => {
      expect(parseRelay(text, "/app"))
        .to.have.property("error")
        .that.contains(/fe80/.test(text) ? "fe80::1" : text);
    });

  for (const [address, text] of [
    [tcp("10.0.0.1", 1), "tcp://10.0.0.1:1"],
    [tcp("0.0.0.0", 1), "tcp://127.0.0.1:1"],
    [tcp("", 1), "tcp://127.0.0.1:1"],
    [tcp("::", 1), "tcp://127.0.0.1:1"],
    [tcp("::1", 1), "tcp://localhost:1"],
    [tcp("db.internal", 1), "tcp://db.internal:1"],
    [unix("/a b.sock"), "unix:///a b.sock"],
  ] as const)
    it(`tells PHP ${text}`, () => {
      expect(addressForPhp(address)).to.deep.equal({ text });
    });

  it("has nothing to tell PHP of another IPv6 address", () => {
    expect(addressForPhp(tcp("fe80::1", 1)))
      .to.have.property("error")
      .that.contains("fe80::1");
  });
});
