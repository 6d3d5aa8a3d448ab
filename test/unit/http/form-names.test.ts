import { spawnSync } from "node:child_process";
import { expect } from "chai";
import fc from "fast-check";
import { fieldsJson, parseForm } from "../../../src/http/form-fields.ts";
import { fieldPath, NAME_BYTES_MAX } from "../../../src/http/form-names.ts";
import { FormTree, treeJson, valueJson } from "../../../src/http/form-tree.ts";
import { needsPhp } from "../../support/php.ts";

/** What PHP's arrays look like as JSON: what PHP itself makes of our JSON is encoded again. */
const PHP = `
foreach (json_decode(stream_get_contents(STDIN), true) as [$form, $ours]) {
    parse_str(base64_decode($form), $theirs);
    $mine = json_decode(base64_decode($ours), true, 512, JSON_THROW_ON_ERROR);
    $results[] = [json_encode($theirs, JSON_INVALID_UTF8_SUBSTITUTE), json_encode($mine)];
}
echo json_encode($results ?? []);`;

/** For each form what PHP makes of it, and what PHP makes of what we tell it: both in the order of their keys. */
function inPhp(forms: readonly Buffer[]): [theirs: string, ours: string][] {
  const input = forms.map((form) => [
    form.toString("base64"),
    Buffer.from(fieldsJson(parseForm(form))).toString("base64"),
  ]);
  const { stdout, stderr } = spawnSync(
    "php",
    ["-d", "max_input_vars=100000", "-d", "max_input_nesting_level=1000", "-r", PHP],
    {
      input: JSON.stringify(input),
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  expect(stderr).to.equal("");
  return JSON.parse(stdout);
}

const ODD_FORMS = [
  "a[b=1",
  "a[b.c=1",
  "a[b][c=1",
  "a[b]c[d]=1",
  "a[=1",
  "a[]]=1",
  "%20a.b =1",
  "a[ ]=1",
  "a[ x]=1",
  "a[%09]=1",
  "a[%09%20]=1",
  "a[b.c d]=1",
  "a]=1",
  "=1",
  "[a]=1",
  "[]=1",
  "[[=1",
  "+[x]=1",
  "a%00b=1",
  "a[%00]=1",
  "a[b%00]=1",
  "a=%zz%4",
  "a=%",
  "a=%%41%4",
  "a=1;b=2",
  "&&=&a",
  "this=1",
  "GLOBALS[x]=1",
  "a[b][=1",
  ".a=1",
  "a[b[c]=1",
  "a[b[c=1",
  "a b[c d=1",
  "a[.b [=2",
  "a[0]=x&a[]=y",
  "a[5]=x&a[]=y&a[2]=z&a[]=w",
  "a[x]=1&a[]=2",
  "a[01]=1&a[1]=2&a[-0]=3&a[+1]=4&a[1.0]=5",
  "0=a&1=b",
  "a[][x]=1&a[][x]=2",
  "items[][n]=A&items[0][q]=1&items[][n]=B&items[1][q]=2",
  "columns[]row1=A&columns[]row2=B",
  "shoe size[]=39",
  "d[date][date]=1&d[date]=2",
  "d[date]=2&d[date][date]=1",
  "d[x][y]=1&d[x]=2&d[x][z]=3",
  "roles[3]=on&roles[]=",
  "roles[]=&roles[3]=on",
  "a=1&a[b]=2",
  "a[b]=2&a=",
  "a[]=1&a=",
  "a[b][]=1&a[b][x][]=2&a[b]=",
  "a[9223372036854775806]=1",
  "a[99999999999999999999]=1&a[]=2",
  "__proto__[x]=1&constructor[prototype]=2",
  "a[__proto__][y]=1&toString=x",
  "ä ö.ü[ß ]=€",
  "b=1&a=2&10=3&2=4",
]; // prettier-ignore

describe("names of form fields", () => {
  for (const [name, path] of [
    ["a", ["a"]],
    ["a[b][c]", ["a", "b", "c"]],
    ["a[]", ["a", undefined]],
    ["a[][x]", ["a", undefined, "x"]],
    ["a[b]c", ["a", "b"]],
    [" first name.x", ["first_name_x"]],
    ["a[b", ["a_b"]],
    ["[a]", undefined],
    ["", undefined],
  ] as const)
    it(`${JSON.stringify(name)} is ${JSON.stringify(path)}`, () => expect(fieldPath(name)).to.deep.equal(path));

  it("may be long and deep, and no longer and deeper", () => {
    expect(fieldPath("x".repeat(NAME_BYTES_MAX))).to.have.length(1);
    expect(() => fieldPath("x".repeat(NAME_BYTES_MAX + 1))).to.throw(/more than 8192 bytes/);
    expect(fieldPath(`a${"[b]".repeat(126)}`)).to.have.length(127);
    expect(() => fieldPath(`a${"[b]".repeat(127)}`)).to.throw(/127 parts/);
  });

  it("leave no room behind the greatest number, and say so", () => {
    const tree = new FormTree<string>();
    tree.add("a[9223372036854775807]", "1");
    expect(() => tree.add("a[]", "2")).to.throw(/no room/);
    expect(treeJson(tree.root, valueJson)).to.equal('{"a":{"9223372036854775807":"1"}}');
  });

  it("and what is passed over is counted", () => {
    const lostOf = (form: string) => parseForm(Buffer.from(form)).lost;
    expect(lostOf("a=1&a=2&b[]=1")).to.deep.equal({ count: 0, firstName: "" });
    expect(lostOf("a[b]=1&a=2&[x]=3")).to.deep.equal({ count: 2, firstName: '"a"' });
    expect(lostOf("a=2&a[b]=1").count).to.equal(1);
  });

  describe("are those of PHP itself", function () {
    this.timeout(30_000);
    before(function () {
      needsPhp(this);
    });

    it("for odd ones", () => {
      const forms = ODD_FORMS.map((form) => Buffer.from(form));
      for (const [at, [theirs, ours]] of inPhp(forms).entries()) expect(ours, ODD_FORMS[at]!).to.equal(theirs);
    });

    it("for whatever comes", () => {
      const piece = fc.constantFrom(
        "a",
        "b",
        "c",
        "1",
        "0",
        "12",
        "-3",
        "[",
        "]",
        "[]",
        "[a]",
        "[1]",
        "[x][y]",
        " ",
        "+",
        ".",
        "%5B",
        "%5d",
        "%20",
        "%00",
        "%zz",
        "%",
        "_",
        "\t",
        ";",
        "ü",
      ); // prettier-ignore
      const name = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
      const value = fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join(""));
      const pair = fc.tuple(name, value).map(([left, right]) => `${left}=${right}`);
      const form = fc.array(pair, { maxLength: 6 }).map((pairs) => Buffer.from(pairs.join("&")));
      // Many at a time: a process each would take hours.
      fc.assert(
        fc.property(fc.array(form, { minLength: 500, maxLength: 2000 }), (forms) => {
          for (const [at, [theirs, ours]] of inPhp(forms).entries())
            expect(ours, forms[at]!.toString()).to.equal(theirs);
        }),
        { numRuns: 5, endOnFailure: true },
      );
    });
  });
});
