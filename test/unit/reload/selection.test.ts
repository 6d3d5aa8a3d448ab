import { expect } from "chai";
import { isIgnored, poolsFor } from "../../../src/reload/selection.ts";

const nothing = () => false;
const rule = {
  key: "reload.dirs",
  pools: ["http"],
  dirs: ["/app"],
  recursive: true,
  patterns: [".php"],
  ignore: ["tmp", "/app/var/cache"],
};

describe("reload selection", () => {
  for (const [path, pools] of [
    ["/app/index.php", ["http"]],
    ["/app/src/deep/User.php", ["http"]],
    ["/app/style.css", []],
    ["/app/vendor/autoload.php", []],
    ["/app/node_modules/x.php", []],
    ["/app/src/tmp/x.php", []],
    ["/app/var/cache/x.php", []],
    ["/application/x.php", []],
    ["/other.php", []],
  ] as const)
    it(`${path} resets ${pools.join() || "nothing"}`, () => {
      expect(poolsFor([rule], path, nothing)).to.deep.equal(pools);
    });

  it("goes no deeper than the folder if a rule is not recursive", () => {
    const flat = { ...rule, recursive: false };
    expect(poolsFor([flat], "/app/index.php", nothing)).to.deep.equal(["http"]);
    expect(poolsFor([flat], "/app/src/index.php", nothing)).to.deep.equal([]);
  });

  it("leaves out what git ignores, unless it is a folder that is named", () => {
    const built = (path: string) => path.startsWith("/app/build");
    expect(poolsFor([rule], "/app/build/x.php", built)).to.deep.equal([]);
    expect(poolsFor([{ ...rule, dirs: ["/app/build"] }], "/app/build/x.php", built)).to.deep.equal(["http"]);
    expect(isIgnored({ ...rule, dirs: ["/app/vendor"] }, "/app/vendor/x.php", false, nothing)).to.equal(false);
  });
});
