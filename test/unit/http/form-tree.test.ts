import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { RrError } from "../../../src/errors.ts";
import { FORM_LIMITS, parseForm, splitName, treeJson } from "../../../src/http/form-tree.ts";

interface Case {
  input: string;
  keys: Record<string, string[]>;
  tree: unknown;
  error: string | null;
}

const { cases } = JSON.parse(readFileSync(new URL("../../fixtures/http/form-tree.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

const treeOf = (form: string): unknown => JSON.parse(treeJson(parseForm(Buffer.from(form, "latin1"))));

function failureOf(form: string | Buffer, limits = FORM_LIMITS): RrError {
  try {
    parseForm(Buffer.from(form as string), limits);
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  }
  throw new Error("the form was accepted");
}

describe("form tree", () => {
  describe("RoadRunner's cases", () => {
    for (const { input, keys, tree, error } of cases) {
      it(`${input} -> ${error ?? JSON.stringify(tree)}`, () => {
        if (error === null) expect(treeOf(input)).to.deep.equal(tree);
        else expect(failureOf(input).reason).to.equal("INVALID_REQUEST");
        if (error?.startsWith("invalid multiple")) expect(failureOf(input).message).to.contain(error);
        for (const [name, parts] of Object.entries(keys)) expect(splitName(name)).to.deep.equal(parts);
      });
    }
  });

  it("keeps names in order of appearance", () => {
    expect(treeJson(parseForm(Buffer.from("b=1&a=2&c[z]=3&c[y]=4")))).to.equal(
      '{"b":"1","a":"2","c":{"z":"3","y":"4"}}',
    );
  });

  it("gives {} for an empty form and for ampersands alone", () => {
    expect(treeJson(parseForm(Buffer.from("")))).to.equal("{}");
    expect(treeJson(parseForm(Buffer.from("&&&")))).to.equal("{}");
  });

  it("takes a name without = as an empty value", () => {
    expect(treeOf("a&b=1")).to.deep.equal({ a: "", b: "1" });
  });

  it("decodes escapes to UTF-8, and bytes that are none to U+FFFD", () => {
    expect(treeOf("x=%C3%A4+%e2%82%ac&y=%C3")).to.deep.equal({ x: "ä €", y: "\ufffd" });
    expect(treeOf("x=\xc3\xa4")).to.deep.equal({ x: "ä" });
  });

  for (const form of ["a=%", "a=%4", "a=%zz", "%=1", "a=1&b=%G1", "a=%1\u00e4"])
    it(`refuses the broken escape of ${JSON.stringify(form)}`, () => {
      expect(failureOf(form).message).to.contain("hexadecimal");
    });

  it("joins repeated lists and lets a list and a value replace each other", () => {
    expect(treeOf("a[]=1&b=x&a[]=2")).to.deep.equal({ a: ["1", "2"], b: "x" });
    expect(treeOf("a=1&a=2")).to.deep.equal({ a: "2" });
    expect(treeOf("a[]=1&a=")).to.deep.equal({ a: ["1"] });
  });

  for (const form of ["a[]=1&a[b]=2", "a[b]=1&a[]=2", "a[b][c]=1&a[b]=2", "a[b]=2&a[b][c]=1"])
    it(`refuses the conflict of ${form}`, () => {
      expect(failureOf(form).message).to.contain("invalid multiple values");
    });

  it("does not touch prototypes", () => {
    const json = treeJson(parseForm(Buffer.from("__proto__[polluted]=1&constructor[prototype][x]=2&a[__proto__]=3")));
    expect(json).to.equal('{"__proto__":{"polluted":"1"},"constructor":{"prototype":{"x":"2"}},"a":{"__proto__":"3"}}');
    expect(({} as Record<string, unknown>).polluted).to.equal(undefined);
  });

  it("refuses names of more than 127 parts", () => {
    const name = (parts: number) => `a${"[b]".repeat(parts - 1)}`;
    expect(treeJson(parseForm(Buffer.from(`${name(127)}=1`))).match(/"b"/g)).to.have.length(126);
    expect(failureOf(`${name(128)}=1&ok=2`)).to.include({ reason: "INVALID_REQUEST" });
  });

  it("bounds fields and tree", () => {
    expect(failureOf("a=1&a=2&a=3", { fieldsMax: 2, nodesMax: 10 }).message).to.contain("more than 2 fields");
    expect(failureOf("a[b][c]=1&d[e]=2", { fieldsMax: 10, nodesMax: 2 }).message).to.contain("tree");
  });

  // The suite's timeout is the limit: quadratic time would need minutes.
  it("takes 100,000 fields, distinct, equal, nested and escaped, in its stride", () => {
    const repeat = (field: (index: number) => string) =>
      Array.from({ length: 100_000 }, (_, index) => field(index)).join("&");
    expect(Object.keys(treeOf(repeat((index) => `k${index}=v`)) as object)).to.have.length(100_000);
    expect((treeOf(repeat((index) => `a[]=${index}`)) as { a: string[] }).a).to.have.length(100_000);
    expect(Object.keys((treeOf(repeat((index) => `a[b][${index}]=%FF`)) as { a: { b: object } }).a.b)).to.have.length(
      100_000,
    );
    expect(treeOf(repeat(() => "x=%20"))).to.deep.equal({ x: " " });
    expect(treeOf(`${"[".repeat(1_000_000)}=1`)).to.deep.equal({ "": "1" });
    expect(failureOf(`${"[]".repeat(1_000_000)}=1`).message).to.contain("127 parts");
  }).timeout(5_000);

  it("accepts or refuses whatever comes, and what it accepts is JSON", () => {
    const piece = fc.constantFrom("a", "b", "[", "]", "[]", "=", "&", "%41", "%", "+", " ", "ä", "\0", '"', "\\", ";");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          JSON.parse(treeJson(parseForm(Buffer.from(pieces.join("")))));
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(RrError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives back the pairs of a flat form", () => {
    const word = fc.string({ minLength: 1, maxLength: 8, unit: "grapheme" }).filter((text) => !/[[\] ]/.test(text));
    fc.assert(
      fc.property(fc.dictionary(word, fc.string({ unit: "grapheme" })), (fields) => {
        expect(treeOf(new URLSearchParams(Object.entries(fields)).toString())).to.deep.equal({ ...fields });
      }),
    );
  });
});
