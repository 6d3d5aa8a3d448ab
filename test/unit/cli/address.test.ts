import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { DEFAULT_ADDRESS, dialAddress, isLocal, locateCore } from "../../../cli/address.ts";
import type { GlobalOptions } from "../../../cli/invocation.ts";
import { RrError } from "../../../src/errors.ts";

describe("cli address", () => {
  const readable: [string, string][] = [
    ["tcp://10.0.0.5:6002", "tcp://10.0.0.5:6002"],
    ["10.0.0.5:6002", "tcp://10.0.0.5:6002"],
    ["core.example:7000", "tcp://core.example:7000"],
    [":6002", "tcp://127.0.0.1:6002"],
    ["tcp://0.0.0.0:6002", "tcp://127.0.0.1:6002"],
    ["tcp://[::]:6002", "tcp://[::1]:6002"],
    ["[fe80::1]:6002", "tcp://[fe80::1]:6002"],
    ["unix:///run/rr.sock", "unix:///run/rr.sock"],
    ["unix://var/rr.sock", "unix:///app/var/rr.sock"],
    ["unix:/run/rr.sock", "unix:///run/rr.sock"],
  ];
  for (const [text, expected] of readable)
    it(`takes ${text} as ${expected}`, () => {
      expect(dialAddress(text, "/app")).to.equal(expected);
    });

  for (const text of ["", "6002", "localhost", "http://localhost:6002", "host:0", "host:65536", "a:b:1", "unix://"])
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => dialAddress(text, "/app")).to.throw(RrError, `address "${text}": expected tcp://host:port`);
    });

  it("tells addresses of this machine from others", () => {
    expect(["tcp://127.0.0.1:1", "unix:///x", "tcp://[::1]:1", "tcp://localhost:1"].every(isLocal)).to.equal(true);
    expect(isLocal("tcp://10.0.0.5:6002")).to.equal(false);
  });

  describe("location", () => {
    let directory: string;
    const globals = (extra: Partial<GlobalOptions> = {}): GlobalOptions => ({
      cwd: directory,
      configFile: ".rr.yaml",
      configFileGiven: false,
      workingDirectory: undefined,
      dotenv: undefined,
      overrides: [],
      address: undefined,
      credentials: {},
      format: "table",
      ...extra,
    });
    const configuration = (control: string) =>
      `version: "3"\nserver:\n  command: php worker.php\nhttp:\n  address: 127.0.0.1:8080\n${control}`;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), "rrctl-address-"));
    });
    afterEach(() => rm(directory, { recursive: true }));

    it("is the default without anything", async () => {
      expect(await locateCore(globals(), {})).to.deep.equal({ address: DEFAULT_ADDRESS, source: "the default" });
    });

    it("prefers --address, then RRCTL_ADDRESS, then the file", async () => {
      await writeFile(join(directory, ".rr.yaml"), configuration("control:\n  listen: tcp://127.0.0.1:7003\n"));
      const env = { RRCTL_ADDRESS: "127.0.0.1:7002" };
      expect(await locateCore(globals({ address: ":7001" }), env)).to.deep.equal({
        address: "tcp://127.0.0.1:7001",
        source: "--address",
      });
      expect(await locateCore(globals(), env)).to.deep.equal({
        address: "tcp://127.0.0.1:7002",
        source: "RRCTL_ADDRESS",
      });
      expect(await locateCore(globals(), { RRCTL_ADDRESS: "" })).to.deep.equal({
        address: "tcp://127.0.0.1:7003",
        source: "control.listen of .rr.yaml",
      });
    });

    it("is read from the file given by -c, with its variables and overrides", async () => {
      const file = join(directory, "other.yaml");
      await writeFile(file, configuration("control:\n  listen: tcp://127.0.0.1:$" + "{CONTROL_PORT:-7004}\n"));
      expect(
        (await locateCore(globals({ configFile: file, configFileGiven: true }), { CONTROL_PORT: "7005" })).address,
      ).to.equal("tcp://127.0.0.1:7005");
      const overrides = ["control.listen=tcp://127.0.0.1:7006"];
      expect((await locateCore(globals({ configFile: file, configFileGiven: true, overrides }), {})).address).to.equal(
        "tcp://127.0.0.1:7006",
      );
    });

    it("is nowhere if no server runs with the file, whatever is wrong with it", async () => {
      await writeFile(join(directory, ".rr.yaml"), "version: 3\nnonsense: [\n");
      const thrown = await locateCore(globals(), {}).catch((error) => error);
      expect(thrown).to.be.instanceOf(RrError).with.property("reason", "UNAVAILABLE");
      expect(thrown.message).to.equal(
        `no server runs with ${join(directory, ".rr.yaml")}: start it with \`rrctl serve\`, or name another one with --address`,
      );
    });

    it("names a file that was given and is not there", async () => {
      const configFile = join(directory, "missing.yaml");
      const thrown = await locateCore(globals({ configFile, configFileGiven: true }), {}).catch((error) => error);
      expect(thrown).to.be.instanceOf(RrError).with.property("reason", "CONFIG_INVALID");
      expect(thrown.message).to.equal(`cannot read the configuration file ${configFile}: ENOENT`);
    });
  });
});
