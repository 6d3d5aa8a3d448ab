import { expect } from "chai";
import { clientAddress } from "../../../../src/http/middleware/proxy-ip.ts";
import { closeFrontends, send, testFrontend } from "../support.ts";

const NAMES = ["forwarded", "x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip"];

describe("proxy_ip_parser middleware", () => {
  afterEach(closeFrontends);

  async function withSubnets(trustedSubnets: string[]) {
    const started = await testFrontend({ middleware: ["proxy_ip_parser"], trustedSubnets, accessLogs: true });
    started.dispatch.answerer = (call) => call.answer(200, {});
    return started;
  }

  for (const subnet of ["127.0.0.0/8", "127.0.0.1", "0.0.0.0/0"])
    it(`believes a proxy in ${subnet}`, async () => {
      const { dispatch, port, lines } = await withSubnets(["10.0.0.0/8", "::1", subnet]);
      await send(port, { headers: { "x-forwarded-for": "203.0.113.7, 10.0.0.1" } });
      expect(dispatch.calls[0]!.context.remoteAddr).to.equal("203.0.113.7");
      const line = lines.find(({ message }) => message === "http access log");
      expect(line!.fields.remote_address).to.equal("203.0.113.7");
    });

  it("believes nobody else", async () => {
    const { dispatch, port } = await withSubnets(["10.0.0.0/8", "2001:db8::/32"]);
    await send(port, { headers: { "x-forwarded-for": "203.0.113.7", forwarded: "for=203.0.113.7" } });
    expect(dispatch.calls[0]!.context.remoteAddr).to.equal("127.0.0.1");
  });

  it("keeps the peer's address if no header has one", async () => {
    const { dispatch, port } = await withSubnets(["127.0.0.1"]);
    await send(port, { headers: { "x-forwarded-for": "unknown" } });
    expect(dispatch.calls[0]!.context.remoteAddr).to.equal("127.0.0.1");
  });

  it("does nothing without proxies, and says so", async () => {
    const { dispatch, port, lines } = await withSubnets([]);
    await send(port, { headers: { "x-real-ip": "203.0.113.7" } });
    expect(dispatch.calls[0]!.context.remoteAddr).to.equal("127.0.0.1");
    expect(lines.find(({ level }) => level === "warn")!.message).to.contain("http.trusted_subnets names no proxy");
  });

  const isTrusted = (address: string) => address.startsWith("10.") || address === "::1";
  for (const [headers, expected] of [
    [{ forwarded: "for=192.0.2.43, for=198.51.100.17;by=203.0.113.60" }, "198.51.100.17"],
    [{ forwarded: "for=192.0.2.43, for=10.0.0.1;by=203.0.113.60, for=10.0.0.2" }, "192.0.2.43"],
    [{ forwarded: 'proto=https; For="[2001:db8:cafe::17]:4711"' }, "2001:db8:cafe::17"],
    [{ forwarded: 'for="192.0.2.43:47011"' }, "192.0.2.43"],
    [{ forwarded: 'for=192.0.2.43;host="a, for=192.0.2.66", for="[::1]"' }, "192.0.2.43"],
    [{ forwarded: 'for=192.0.2.43;host="a\\", for=192.0.2.66"' }, "192.0.2.43"],
    [{ forwarded: "for=192.0.2.1, for=_hidden, for=unknown" }, "192.0.2.1"],
    [{ forwarded: "for=_hidden", "x-real-ip": "192.0.2.9" }, "192.0.2.9"],
    [{ forwarded: "by=192.0.2.1" }, undefined],
    [{ "x-forwarded-for": " 192.0.2.1 , 192.0.2.2", "x-real-ip": "192.0.2.9" }, "192.0.2.2"],
    [{ "x-forwarded-for": "203.0.113.195, 70.41.3.18, 150.172.238.178" }, "150.172.238.178"],
    [{ "x-forwarded-for": "203.0.113.195, 70.41.3.18, 10.1.2.3, 10.0.0.1" }, "70.41.3.18"],
    [{ "x-forwarded-for": "unknown, 8.8.8.8" }, "8.8.8.8"],
    [{ "x-forwarded-for": "8.8.8.8, unknown, , 10.0.0.1" }, "8.8.8.8"],
    [{ "x-forwarded-for": "10.0.0.9, 10.0.0.1" }, "10.0.0.9"],
    [{ "x-forwarded-for": "192.0.2.1:8080" }, "192.0.2.1"],
    [{ "x-forwarded-for": "[2001:db8::1]:8080" }, "2001:db8::1"],
    [{ "x-forwarded-for": "2001:db8::1" }, "2001:db8::1"],
    [{ "x-forwarded-for": "::ffff:192.0.2.1" }, "192.0.2.1"],
    [{ "x-forwarded-for": "192.0.2.1, ::ffff:10.0.0.1" }, "192.0.2.1"],
    [{ "x-forwarded-for": "300.1.2.3", "true-client-ip": "192.0.2.4" }, "192.0.2.4"],
    [{ "x-forwarded-for": "fe80::1%eth0", "cf-connecting-ip": "192.0.2.5" }, "192.0.2.5"],
    [{ "x-forwarded-for": "<script>", "x-real-ip": "" }, undefined],
    [{ "x-real-ip": "192.0.2.1", "cf-connecting-ip": "192.0.2.5" }, "192.0.2.1"],
  ] as const)
    it(`reads ${JSON.stringify(headers)} as ${expected}`, () => {
      expect(clientAddress(headers, NAMES, isTrusted)).to.equal(expected);
    });

  it("looks only at the headers that are named, in their order", () => {
    const headers = { "x-real-ip": "192.0.2.1", "x-forwarded-for": "192.0.2.2" };
    expect(clientAddress(headers, ["x-real-ip", "x-forwarded-for"], isTrusted)).to.equal("192.0.2.1");
    expect(clientAddress(headers, ["true-client-ip"], isTrusted)).to.equal(undefined);
  });
});
