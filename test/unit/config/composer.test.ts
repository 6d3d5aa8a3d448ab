import { expect } from "chai";
import { installedContextCodec } from "../../../src/config/composer.ts";
import { files, load } from "./support.ts";

const installed = (packages: object[]) => JSON.stringify({ packages });
const http = (version: string, name = "spiral/roadrunner-http") =>
  installed([
    { name: "nyholm/psr7", version: "1.8.2" },
    { name, version },
  ]);

describe("config context codec", () => {
  const codec = (texts: Record<string, string>, command = ["php", "worker.php"]) =>
    installedContextCodec("/app", command, files(texts));
  const FILE = "/app/vendor/composer/installed.json";

  for (const [version, expected] of [
    ["v2.1.0", "json"],
    ["3.6.0", "json"],
    ["v4.0.0", "proto"],
    ["4.x-dev", "proto"],
    ["10.1.0", "proto"],
    ["dev-master", "json"],
  ] as const)
    it(`is ${expected} for version ${version}`, () => {
      expect(codec({ [FILE]: http(version) })).to.equal(expected);
    });

  it("knows the later name of the package, the alias of a branch, and Composer 1", () => {
    expect(codec({ [FILE]: http("v4.1.0", "roadrunner/http") })).to.equal("proto");
    const branch = {
      name: "spiral/roadrunner-http",
      version: "dev-main",
      extra: { "branch-alias": { "dev-main": "4.0.x-dev" } },
    };
    expect(codec({ [FILE]: installed([branch]) })).to.equal("proto");
    expect(codec({ [FILE]: JSON.stringify([{ name: "spiral/roadrunner-http", version: "v4.0.0" }]) })).to.equal(
      "proto",
    );
  });

  it("is json without the package, without Composer and with a file that is none of its", () => {
    expect(codec({})).to.equal("json");
    expect(codec({ [FILE]: installed([]) })).to.equal("json");
    for (const text of ["", "null", "{}", "[1", '{"packages": 1}']) expect(codec({ [FILE]: text })).to.equal("json");
  });

  it("looks beside the script and above it before the working directory", () => {
    const texts = { [FILE]: http("3.5.0"), "/srv/site/vendor/composer/installed.json": http("4.0.0") };
    expect(codec(texts, ["php", "/srv/site/bin/worker.php"])).to.equal("proto");
    expect(codec(texts, ["php", "-d", "x=1", "/srv/site/worker.php", "arg"])).to.equal("proto");
    expect(codec(texts, ["php", "vendor/bin/roadrunner-worker"])).to.equal("json");
    expect(codec(texts, ["php", "/srv/site/vendor/bin/roadrunner-worker"])).to.equal("proto");
    expect(codec(texts, ["php"])).to.equal("json");
  });

  it("stops at the nearest installation, also one without the package", () => {
    const texts = {
      "/srv/vendor/composer/installed.json": http("4.0.0"),
      "/srv/a/vendor/composer/installed.json": installed([]),
    };
    expect(codec(texts, ["php", "/srv/a/worker.php"])).to.equal("json");
  });

  it("is what http.context_codec says, and looked up where that is auto", () => {
    const of = (value: string) =>
      load(`version: "3"\nserver: {command: php worker.php}\nhttp: {address: ":80", context_codec: ${value}}`, {
        files: { [FILE]: http("4.0.0") },
      }).configuration.http!.contextCodec;
    expect([of("auto"), of("json"), of("proto")]).to.deep.equal(["proto", "json", "proto"]);
  });
});
