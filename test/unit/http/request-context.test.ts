import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import fc from "fast-check";
import { RequestSchema } from "../../../gen/roadrunner/http/v1/message_pb.ts";
import { headerName, startHeaderPass } from "../../../src/http/header-names.ts";
import { encodeJsonContext, encodeProtoContext } from "../../../src/http/request-context.ts";
import { gatherHeaders, parseCookies, type RequestFields } from "../../../src/http/request-fields.ts";

interface Vector {
  name: string;
  codec: "json" | "proto";
  contextHex: string;
  bodyHex: string;
  fields: {
    remoteAddr: string;
    protocol: string;
    method: string;
    uri: string;
    headers: Record<string, string[]>;
    cookies: Record<string, string>;
    rawQuery: string;
    parsed: boolean;
    uploads: unknown;
    attributes: Record<string, string | string[]>;
  };
}

const { requests } = JSON.parse(
  readFileSync(new URL("../../fixtures/http/contexts.json", import.meta.url), "utf8"),
) as { requests: Vector[] };

function headersOf(headers: Record<string, readonly string[]>): RequestFields["headers"] {
  return {
    names: Object.keys(headers).map(headerName),
    values: Object.values(headers).map((values) => (values.length === 1 ? values[0]! : [...values])),
  };
}

function fieldsOf({ fields, codec }: Vector): RequestFields {
  const attributes = Object.entries(fields.attributes).map(([name, value]) => [name, [value].flat()]);
  return {
    remoteAddress: fields.remoteAddr,
    protocol: fields.protocol,
    method: fields.method,
    uri: fields.uri,
    headers: headersOf(fields.headers),
    cookies: new Map(Object.entries(fields.cookies)),
    rawQuery: fields.rawQuery,
    parsed: fields.parsed,
    uploadsJson: fields.uploads === null ? undefined : JSON.stringify(fields.uploads),
    fileInputsJson: undefined,
    attributes: attributes.length === 0 && codec === "json" ? undefined : Object.fromEntries(attributes),
  };
}

function plainFields(overrides: Partial<RequestFields> = {}): RequestFields {
  return {
    remoteAddress: "127.0.0.1",
    protocol: "HTTP/1.1",
    method: "GET",
    uri: "http://localhost/",
    headers: { names: [], values: [] },
    cookies: undefined,
    rawQuery: "",
    parsed: false,
    uploadsJson: undefined,
    fileInputsJson: undefined,
    attributes: undefined,
    ...overrides,
  };
}

const json = (fields: RequestFields) => JSON.parse(encodeJsonContext(fields).toString("utf8"));

describe("request context", () => {
  describe("what RoadRunner sends", () => {
    for (const vector of requests)
      it(`${vector.name}, byte by byte`, () => {
        const encode = vector.codec === "json" ? encodeJsonContext : encodeProtoContext;
        const expected = Buffer.from(vector.contextHex, "hex");
        const encoded = encode(fieldsOf(vector));
        // The vectors give an attribute as a plain value; RoadRunner 2 and later send lists.
        if (vector.name.startsWith("http.json") && Object.keys(vector.fields.attributes).length > 0) {
          const lists = Object.entries(vector.fields.attributes).map(([name, value]) => [name, [value].flat()]);
          const listed = { ...JSON.parse(expected.toString("utf8")), attributes: Object.fromEntries(lists) };
          expect(encoded.toString("utf8")).to.equal(JSON.stringify(listed));
        } else if (vector.codec === "json")
          expect(encoded.toString("utf8")).to.equal(canonical(expected.toString("utf8")));
        else expect(encoded.toString("hex")).to.equal(expected.toString("hex"));
      });
  });

  it("writes all ten keys of JSON in order, and objects where nothing is", () => {
    expect(encodeJsonContext(plainFields()).toString("utf8")).to.equal(
      '{"remoteAddr":"127.0.0.1","protocol":"HTTP/1.1","method":"GET","uri":"http://localhost/","headers":{},' +
        '"cookies":{},"rawQuery":"","parsed":false,"uploads":null,"attributes":{}}',
    );
  });

  it("escapes what JSON wants escaped and takes line breaks out of the uri", () => {
    const fields = plainFields({
      uri: 'http://h/a"b\\\r\nc',
      rawQuery: '"\t\x01',
      headers: headersOf({ "X-A": ['"\\'] }),
    });
    expect(json(fields)).to.include({ uri: 'http://h/a"b\\c', rawQuery: '"\t\x01' });
    expect(json(fields).headers).to.deep.equal({ "X-A": ['"\\'] });
  });

  it("reads bytes as UTF-8 where they are, and as U+FFFD where not", () => {
    const utf8 = Buffer.from("ü€", "utf8").toString("latin1");
    expect(json(plainFields({ headers: headersOf({ "X-A": [utf8] }) })).headers["X-A"]).to.deep.equal(["ü€"]);
    expect(json(plainFields({ headers: headersOf({ "X-A": ["\xfc"] }) })).headers["X-A"]).to.deep.equal(["\ufffd"]);
    const proto = fromBinary(
      RequestSchema,
      encodeProtoContext(plainFields({ uri: "http://h/\xfc", headers: headersOf({ "X-A": ["\xfc"] }) })),
    );
    expect(proto.uri).to.equal("http://h/\ufffd");
    expect([...proto.header["X-A"]!.value[0]!]).to.deep.equal([0xfc]);
  });

  it("writes attributes as the texts they are", () => {
    const attributes = { tâg: ["ü€😀", "b"] };
    expect(json(plainFields({ attributes })).attributes).to.deep.equal(attributes);
    const proto = fromBinary(RequestSchema, encodeProtoContext(plainFields({ attributes })));
    expect(Buffer.from(proto.attributes.tâg!.value[0]!).toString("utf8")).to.equal("ü€😀");
  });

  it("says the same in both encodings, and the generated code reads it", () => {
    const text = fc.string({ maxLength: 300, unit: "binary-ascii" });
    const names = fc.stringMatching(/^[a-z][a-z-]{0,20}$/);
    const headers = fc.dictionary(names, fc.array(text, { minLength: 1, maxLength: 3 }), { noNullPrototype: true });
    fc.assert(
      fc.property(headers, text, fc.dictionary(names, text), (rawHeaders, rawQuery, cookies) => {
        const raw = Object.entries(rawHeaders).flatMap(([name, values]) => values.flatMap((value) => [name, value]));
        const fields = plainFields({
          headers: gatherHeaders(raw).headers,
          rawQuery,
          cookies: new Map(Object.entries(cookies)),
          parsed: true,
          uploadsJson: "{}",
        });
        const fromJson = json(fields);
        const proto = fromBinary(RequestSchema, encodeProtoContext(fields));
        const lists = (map: typeof proto.header) =>
          Object.entries(map).map(([name, { value }]) => [
            name,
            value.map((bytes) => Buffer.from(bytes).toString("latin1")),
          ]);
        expect(proto.rawQuery).to.equal(fromJson.rawQuery);
        expect(proto.parsed).to.equal(true);
        expect(Buffer.from(proto.uploads).toString()).to.equal("{}");
        expect(Object.fromEntries(lists(proto.header))).to.deep.equal(fromJson.headers);
        expect(Object.fromEntries(lists(proto.cookies).map(([name, values]) => [name, values![0]]))).to.deep.equal(
          fromJson.cookies,
        );
      }),
    );
  });

  describe("headers", () => {
    it("have canonical names, their values in order, and some are taken out", () => {
      const raw = [
        "host",
        "h:1",
        "X-multi",
        "one",
        "ACCEPT",
        "*/*",
        "x-MULTI",
        "two",
        "transfer-encoding",
        "chunked",
        "Trailer",
        "X",
      ];
      const { headers, host } = gatherHeaders(raw);
      expect(host).to.equal("h:1");
      expect(headers.names.map(({ canonical }) => canonical)).to.deep.equal(["X-Multi", "Accept"]);
      expect(headers.values).to.deep.equal([["one", "two"], "*/*"]);
    });

    it("may be called like members of every object", () => {
      const { headers } = gatherHeaders(["__proto__", "a", "constructor", "b", "to-string", "c", "__proto__", "d"]);
      expect(json(plainFields({ headers })).headers)
        .to.have.property("Constructor")
        .that.deep.equals(["b"]);
      expect(encodeJsonContext(plainFields({ headers })).toString()).to.contain('"__proto__":["a","d"]');
    });

    it("are found again after so many names that some were forgotten", () => {
      for (let index = 0; index < 5_000; index++) {
        startHeaderPass();
        headerName(`x-made-up-${index}`);
      }
      expect(gatherHeaders(["x-a", "1", "X-A", "2"]).headers.values).to.deep.equal([["1", "2"]]);
    });

    it("repeated 10,000 times take no time worth speaking of", () => {
      const raw = Array.from({ length: 10_000 }, (_, index) => [`x-${index % 5_000}`, "v"]).flat();
      expect(gatherHeaders(raw).headers.names).to.have.length(5_000);
    });
  });

  describe("cookies", () => {
    const cookies = (header: string) => Object.fromEntries(parseCookies(header));

    it("are decoded, except for plus signs; the last of a name wins", () => {
      expect(cookies("a=1; b=x+y%20z%2B;c=%C3%A4; a=2")).to.deep.equal({ a: "2", b: "x+y z+", c: "\xc3\xa4" });
    });

    it("that cannot be decoded are left out", () => {
      expect(cookies("bad=%zz; bad2=%; good=1")).to.deep.equal({ good: "1" });
    });

    it("may be empty, quoted, or without a value", () => {
      expect(cookies('a=; b="x y"; c; =d; ; e=1=2')).to.deep.equal({ a: "", b: "x y", c: "", e: "1=2" });
    });
  });
});

/** Two vectors have keys with escapes that PHP writes and others do not; numeric names come first in JavaScript. */
function canonical(text: string): string {
  return JSON.stringify(JSON.parse(text));
}
