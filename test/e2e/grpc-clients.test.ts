import { execFile, spawnSync } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { skip } from "../support/php.ts";
import { hasPhp, ROOT, type Server, startServer } from "./cli-server.ts";

const run = promisify(execFile);
const succeeds = (file: string, ...argv: string[]) => spawnSync(file, argv).status === 0;

/** Clients that share nothing with this program but the contract. */
describe("a client generated from the contract", function () {
  this.timeout(60_000);
  let server: Server;
  let directory: string;

  before(async function () {
    if (!hasPhp) return skip(this, "php is not installed, and these tests run real workers");
    server = await startServer();
    directory = await mkdtemp(join(tmpdir(), "rrctl-client-"));
  });
  after(async () => {
    await server?.dispose();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  it("works in Python: lists, scales, dispatches, and understands an error", async function () {
    // Version managers put Pythons without packages before the system's.
    const python = ["python3", "/usr/bin/python3"].find((name) => succeeds(name, "-c", "import grpc, google.protobuf"));
    const missing = [
      python ? "" : "python3 with grpcio and protobuf",
      succeeds("protoc", "--version") ? "" : "protoc",
      succeeds("sh", "-c", "command -v grpc_python_plugin") ? "" : "grpc_python_plugin",
    ].filter(Boolean);
    if (missing.length > 0)
      return skip(
        this,
        `${missing.join(", ")} not found; on Debian: apt-get install python3-grpcio protobuf-compiler protobuf-compiler-grpc`,
      );
    const buf = join(ROOT, "node_modules/@bufbuild/buf/bin/buf");
    const template = join(ROOT, "examples/python/buf.gen.yaml");
    const paths = ["--path", "proto/roadrunner", "--path", "proto/buf"];
    await run(
      process.execPath,
      [buf, "generate", "--template", template, "-o", join(directory, "generated"), ...paths],
      {
        cwd: ROOT,
      },
    );
    await copyFile(join(ROOT, "examples/python/client.py"), join(directory, "client.py"));
    const { stdout } = await run(python!, [join(directory, "client.py"), server.address.replace("tcp://", ""), "echo"]);
    expect(stdout.trimEnd().split("\n")).to.have.length(5);
    expect(stdout)
      .to.match(/^pool echo: 1 workers ready$/m)
      .and.match(/^pool http: 2 workers ready$/m)
      .and.match(/^scaled echo to 3$/m)
      .and.match(/^worker \d+ answered: hello from Python$/m)
      .and.match(/^NOT_FOUND: there is no pool "nowhere"; the pools are: "echo", "http"$/m);
    const { workers } = await server.data<{ workers: unknown[] }>("workers", "echo");
    expect(workers).to.have.length(3);
  });
});
