import { expect } from "chai";
import fc from "fast-check";
import { RrError } from "../../../src/errors.ts";
import { FORM_LIMITS, fieldsJson, parseForm } from "../../../src/http/form-fields.ts";
import { FormTree, treeJson, treePieces, valueJson } from "../../../src/http/form-tree.ts";
import { escapeForm, UrlencodedReader } from "../../../src/http/urlencoded.ts";

const jsonOf = (form: string): string => fieldsJson(parseForm(Buffer.from(form, "latin1")));
const treeOf = (form: string): unknown => JSON.parse(jsonOf(form));

function failureOf(form: string | Buffer, limits = FORM_LIMITS): RrError {
  try {
    parseForm(Buffer.from(form as string), limits);
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  }
  throw new Error("the form was accepted");
}

/** Pairs of a form that comes in pieces of so many bytes. */
function pairsOf(form: Buffer, pieceBytes: number): string[] {
  const pairs: string[] = [];
  const reader = new UrlencodedReader(1_000_000, (name, value) => pairs.push(`${name}=${value}`));
  for (let at = 0; at < form.length; at += pieceBytes) reader.push(form.subarray(at, at + pieceBytes));
  reader.end();
  return pairs;
}

describe("form tree", () => {
  it("keeps names in order of appearance", () => {
    expect(jsonOf("b=1&a=2&10=x&2=y&c[z]=3&c[y]=4")).to.equal(
      '{"b":"1","a":"2","10":"x","2":"y","c":{"z":"3","y":"4"}}',
    );
  });

  it("has lists where the keys are those of one, in their order", () => {
    expect(jsonOf("a[]=1&a[]=2&b[0]=x&b[1]=y&c[1]=x&c[0]=y&d[][k]=1&e[5]=x")).to.equal(
      '{"a":["1","2"],"b":["x","y"],"c":{"1":"x","0":"y"},"d":[{"k":"1"}],"e":{"5":"x"}}',
    );
    expect(jsonOf("0=x&1=y"), "the root is none").to.equal('{"0":"x","1":"y"}');
  });

  it("gives {} for an empty form and for ampersands alone", () => {
    expect([jsonOf(""), jsonOf("&&&")]).to.deep.equal(["{}", "{}"]);
  });

  it("takes a name without = as an empty value, and semicolons and broken escapes as they are", () => {
    expect(treeOf("a&b=1")).to.deep.equal({ a: "", b: "1" });
    expect(treeOf("a=1;b=2&c=100%&d=%4&e=%zz")).to.deep.equal({ a: "1;b=2", c: "100%", d: "%4", e: "%zz" });
  });

  it("decodes escapes to UTF-8, and bytes that are none to U+FFFD", () => {
    expect(treeOf("x=%C3%A4+%e2%82%ac&y=%C3")).to.deep.equal({ x: "ä €", y: "\ufffd" });
    expect(treeOf("x=\xc3\xa4&n\xc3\xa4me=1")).to.deep.equal({ x: "ä", näme: "1" });
  });

  it("loses no value of a list, and takes the last of a name", () => {
    expect(treeOf("a[][x]=1&a[][x]=2")).to.deep.equal({ a: [{ x: "1" }, { x: "2" }] });
    expect(treeOf("roles[3]=on&roles[]=")).to.deep.equal({ roles: { 3: "on", 4: "" } });
    expect(treeOf("roles[]=&roles[3]=on")).to.deep.equal({ roles: { 0: "", 3: "on" } });
    expect(treeOf("d[date][date]=1&d[date]=2")).to.deep.equal({ d: { date: "2" } });
  });

  it("does not touch prototypes", () => {
    const json = jsonOf("__proto__[polluted]=1&constructor[prototype][x]=2&a[__proto__]=3");
    expect(json).to.equal('{"__proto__":{"polluted":"1"},"constructor":{"prototype":{"x":"2"}},"a":{"__proto__":"3"}}');
    expect(({} as Record<string, unknown>).polluted).to.equal(undefined);
  });

  it("puts what must not replace anything only where nothing is", () => {
    const tree = parseForm(Buffer.from("a=1&b[]=x&c[d]=y"));
    const at = (name: string) => tree.addIfFree(name, "");
    expect([at("a"), at("b[]"), at("c"), at("c[d][e]"), at("new"), at("c[f][]"), at("[x]")]).to.deep.equal([
      undefined,
      ["b", "1"],
      undefined,
      undefined,
      ["new"],
      ["c", "f", "0"],
      undefined,
    ]);
    expect(fieldsJson(tree)).to.equal('{"a":"1","b":["x",""],"c":{"d":"y","f":[""]},"new":""}');
  });

  it("bounds fields, names and tree", () => {
    expect(failureOf("a=1&a=2&a=3", { fieldsMax: 2, nodesMax: 10 }).message).to.contain("more than 2 fields");
    expect(failureOf("a[b][c]=1&d[e]=2", { fieldsMax: 10, nodesMax: 2 }).message).to.contain("tree");
    expect(failureOf(`a${"[b]".repeat(127)}=1&ok=2`)).to.include({ reason: "INVALID_REQUEST" });
    expect(failureOf(`${"x".repeat(30_000)}=1`).message).to.contain("8192 bytes");
    // Long before all of it has come.
    const reader = new UrlencodedReader(10, () => {});
    reader.push(Buffer.alloc(20_000, "+"));
    expect(() => reader.push(Buffer.alloc(20_000, "+"))).to.throw(/8192 bytes/);
  });

  it("is read alike, however it is cut", () => {
    const piece = fc.constantFrom("a", "=", "&", "%", "%4", "%41", "+", "1", "[]", "%2", "B", "ü", ";");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (pieces, pieceBytes) => {
        const form = Buffer.from(pieces.join(""));
        expect(pairsOf(form, pieceBytes)).to.deep.equal(pairsOf(form, form.length + 1));
      }),
      { numRuns: 2_000 },
    );
  });

  it("gets back what was escaped for it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), fc.integer({ min: 1, max: 9 }), (bytes, pieceBytes) => {
        const text = Buffer.from(bytes).toString("latin1");
        const form = Buffer.from(`${escapeForm(text)}=${escapeForm(text)}&x=1`, "latin1");
        const expected = text === "" ? ["=", "x=1"] : [`${text}=${text}`, "x=1"];
        expect(pairsOf(form, pieceBytes)).to.deep.equal(expected);
      }),
    );
  });

  it("tells large values in pieces that are the text together", () => {
    const text = 'aä€😀\u0001"\\\ud7ff'.repeat(40_000);
    const value = Buffer.from(text).toString("latin1");
    const pieces = [...valueJson(value)];
    expect(pieces.length).to.be.above(5);
    expect(JSON.parse(pieces.join("")) === text).to.equal(true);
    const tree = new FormTree<string>();
    for (const name of ["a", "b[]", "b[]"]) tree.add(name, value);
    expect(Math.max(...[...treePieces(tree.root, valueJson)].map(({ length }) => length))).to.be.below(1_000_000);
    expect(JSON.parse(treeJson(tree.root, valueJson)).b[1] === text).to.equal(true);
  });

  // The suite's timeout is the limit: quadratic time would need minutes.
  it("takes large forms of any kind in its stride", () => {
    const repeat = (field: (index: number) => string) =>
      Array.from({ length: 100_000 }, (_, index) => field(index)).join("&");
    expect(Object.keys(treeOf(repeat((index) => `k${index}=v`)) as object)).to.have.length(100_000);
    expect((treeOf(repeat((index) => `a[]=${index}`)) as { a: string[] }).a).to.have.length(100_000);
    expect(treeOf(repeat(() => "x=%20"))).to.deep.equal({ x: " " });
    expect(treeOf(repeat(() => "x")), "no value at all").to.deep.equal({ x: "" });
    expect(pairsOf(Buffer.from(`a=${"x%4".repeat(1_000_000)}`), 1000)[0]).to.have.length(3_000_002);
    const deep = (index: number) => `k${index}${"[a]".repeat(119)}=1`;
    const names = Array.from({ length: 2_000 }, (_, index) => deep(index)).join("&");
    expect(Object.keys(treeOf(names) as object)).to.have.length(2_000);
    for (const name of ["[".repeat(1_000_000), "[]".repeat(1_000_000), `${"a+".repeat(1_000_000)}[`])
      expect(failureOf(`${name}=1`).message).to.contain("8192 bytes");
  }).timeout(10_000);
});
