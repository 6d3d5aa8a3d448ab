import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import { Codec } from "../../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { ResponseSchema } from "../../../gen/roadrunner/http/v1/message_pb.ts";
import { RrError } from "../../../src/errors.ts";
import { decodeResponseHead } from "../../../src/http/response-head.ts";

interface Vector {
  name: string;
  codec: "json" | "proto" | "none";
  contextHex: string;
  fields: { status: number; headers: Record<string, string[]> };
}

const { responses } = JSON.parse(
  readFileSync(new URL("../../fixtures/http/contexts.json", import.meta.url), "utf8"),
) as { responses: Vector[] };

const CODECS = { json: Codec.JSON, proto: Codec.PROTO, none: Codec.UNSPECIFIED };

const head = (value: unknown) => decodeResponseHead(Buffer.from(JSON.stringify(value)), Codec.JSON);

function failureOf(run: () => unknown): RrError {
  try {
    run();
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  }
  throw new Error("nothing was thrown");
}

describe("response head", () => {
  describe("what PHP's libraries send", () => {
    for (const { name, codec, contextHex, fields } of responses)
      it(name, () => {
        const context = Buffer.from(contextHex, "hex");
        if (fields.status < 100) {
          const error = failureOf(() => decodeResponseHead(context, CODECS[codec]));
          expect(error.message).to.equal(`unknown status code from worker: ${fields.status}`);
          return;
        }
        const decoded = decodeResponseHead(context, CODECS[codec]);
        const { Trailer: trailer = [], ...rest } = fields.headers;
        const trailerNames = trailer.join(",").split(/, */);
        const lines = Object.entries(rest).flatMap(([key, values]) =>
          values.map((value): [string, string] => [key, value]),
        );
        expect(decoded.status).to.equal(fields.status);
        expect(decoded.headers).to.deep.equal(lines.filter(([key]) => !trailerNames.includes(key)).flat());
        expect(decoded.trailers).to.deep.equal(lines.filter(([key]) => trailerNames.includes(key)));
        // The second time it comes from the cache.
        expect(decodeResponseHead(context, CODECS[codec])).to.deep.equal(decoded);
      });
  });

  it("takes values that are no lists, numbers, and [] or nothing for no headers", () => {
    expect(head({ status: 200, headers: { "x-a": "b", "X-N": [1, 2.5], "x-gap": { 1: "c" } } }).headers).to.deep.equal([
      "X-A",
      "b",
      "X-N",
      "1",
      "X-N",
      "2.5",
      "X-Gap",
      "c",
    ]);
    expect(head({ status: 204, headers: [] }).headers).to.deep.equal([]);
    expect(head({ status: 204 }).headers).to.deep.equal([]);
  });

  it("drops headers that could split the response", () => {
    const decoded = head({
      status: 200,
      headers: {
        "X-A": ["a\r\nSet-Cookie: x=1"],
        "X\r\nY": ["b"],
        "": ["c"],
        "X B": ["d"],
        "X-C": ["ok", "\0"],
        "X-D": [null],
      },
    });
    expect(decoded.headers).to.deep.equal(["X-C", "ok"]);
    expect(decoded.dropped).to.deep.equal(["X-A", "X\\r\\nY", "", "X B", "X-C", "X-D"]);
    const proto = toBinary(
      ResponseSchema,
      create(ResponseSchema, { status: 200n, headers: { "X-A": { value: [Buffer.from("a\nb"), Buffer.from("c")] } } }),
    );
    expect(decodeResponseHead(proto, Codec.PROTO).headers).to.deep.equal(["X-A", "c"]);
  });

  it("keeps text beyond ASCII as the bytes that PHP wrote", () => {
    expect(head({ status: 200, headers: { "X-A": ["ü"] } }).headers).to.deep.equal(["X-A", "\xc3\xbc"]);
    const bytes = create(ResponseSchema, { status: 200n, headers: { "X-A": { value: [Uint8Array.of(0xfc)] } } });
    expect(decodeResponseHead(toBinary(ResponseSchema, bytes), Codec.PROTO).headers).to.deep.equal(["X-A", "\xfc"]);
  });

  it("drops what concerns the connection, and remembers what it asks for", () => {
    const decoded = head({
      status: 200,
      headers: {
        "transfer-encoding": ["chunked"],
        "Keep-Alive": ["5"],
        Upgrade: ["h2c"],
        Connection: ["foo, Close"],
        TE: ["x"],
        "Content-Length": ["12"],
      },
    });
    expect(decoded).to.deep.include({ headers: [], close: true, contentLength: 12, dropped: [] });
    expect(head({ status: 200, headers: { Connection: ["keep-alive"], "Content-Length": ["1x"] } })).to.deep.include({
      close: false,
      contentLength: undefined,
    });
  });

  it("does not make trailers of headers that cannot be", () => {
    const decoded = head({
      status: 200,
      headers: { Trailer: "Content-Type, X-Sum", "Content-Type": "a/b", "X-Sum": "1" },
    });
    expect(decoded.headers).to.deep.equal(["Content-Type", "a/b"]);
    expect(decoded.trailers).to.deep.equal([["X-Sum", "1"]]);
  });

  for (const status of [0, 42, 99, 600, 1000, -200, 200.5, "abc", null, undefined])
    it(`refuses the status ${status}`, () => {
      const error = failureOf(() => head({ status, headers: {} }));
      expect(error.reason).to.equal("WORKER_ERROR");
      expect(error.message).to.match(/^unknown status code from worker: /);
    });

  for (const context of ["", "nonsense", "[1]", "null", "1", '"x"'])
    it(`refuses ${JSON.stringify(context)} as JSON, and says how it starts`, () => {
      const error = failureOf(() => decodeResponseHead(Buffer.from(context), Codec.JSON));
      expect(error.reason).to.equal("PROTOCOL_VIOLATION");
      expect(error.message).to.contain(JSON.stringify(context));
    });

  it("refuses heads that no client would take, in little time", () => {
    const json = (headers: unknown) => Buffer.from(JSON.stringify({ status: 200, headers }));
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`X-${at}`, ["v"]]));
    expect(decodeResponseHead(json(many(1_000)), Codec.JSON).headers).to.have.length(2_000);
    for (const [name, head] of Object.entries({
      "1,001 headers": json(many(1_001)),
      "1,001 values": json({ "X-A": Array(1_001).fill("v") }),
      "300,000 headers": json(many(300_000)),
      "a header of a megabyte": json({ "X-A": ["x".repeat(1 << 20)] }),
      "JSON a million deep": Buffer.from(`{"status":200,"headers":${"[".repeat(1e6)}${"]".repeat(1e6)}}`),
    })) {
      const startedMs = performance.now();
      const refused = () => decodeResponseHead(head, Codec.JSON);
      expect(refused, name)
        .to.throw(RrError, /are allowed/)
        .with.property("reason", "PROTOCOL_VIOLATION");
      expect(performance.now() - startedMs, name).to.be.below(500);
    }
  });

  it("refuses bytes that are no protobuf", () => {
    const error = failureOf(() => decodeResponseHead(Buffer.from('{"status":200}'), Codec.PROTO));
    expect(error.reason).to.equal("PROTOCOL_VIOLATION");
  });

  it("is right for more different heads than are kept", () => {
    for (let index = 0; index < 1_000; index++)
      expect(head({ status: 200, headers: { "X-N": String(index) } }).headers).to.deep.equal(["X-N", String(index)]);
  });
});
