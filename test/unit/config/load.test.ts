// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { loadConfiguration } from "../../../src/config/load.ts";
import { RrError } from "../../../src/errors.ts";
import { check, errorsWith, load, loadWith, MINIMAL } from "./support.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/config/", import.meta.url));

function failure(action: () => unknown): RrError {
  try {
    action();
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  }
  throw new Error("it did not fail");
}

describe("config load", () => {
  for (const file of ["minimal.yaml", "minimal.json"])
    it(`takes the smallest file of RoadRunner's manual: ${file}`, () => {
      const { configuration, warnings } = loadConfiguration({ file, cwd: FIXTURES, env: {} });
      expect(warnings).to.deep.equal([]);
      expect(configuration).to.deep.include({
        configFile: join(FIXTURES, file),
        workingDirectory: FIXTURES.replace(/\/$/, ""),
        rpc: { listen: { kind: "tcp", host: "127.0.0.1", port: 6001 } },
      });
      expect(configuration.http!.address).to.deep.equal({ kind: "tcp", host: "0.0.0.0", port: 8080 });
      expect(configuration.pools).to.have.length(1);
      expect(configuration.pools[0]).to.deep.include({
        name: "http",
        command: ["php", "psr-worker.php"],
        numWorkers: 4,
        relay: { kind: "pipes" },
        env: {
          RR_RELAY: "pipes",
          RR_RPC: "tcp://127.0.0.1:6001",
          RR_VERSION: configuration.pools[0]!.env.RR_VERSION,
          RR_MODE: "http",
        },
      });
    });

  it("takes a large file of RoadRunner, and names all that has no effect", () => {
    const { configuration, warnings } = loadConfiguration({
      file: join(FIXTURES, "roadrunner.yaml"),
      cwd: "/",
      env: {},
    });
    expect(configuration.http!.internalErrorCode).to.equal(505);
    expect(configuration.pools[0]!.env).to.include({ SOME_KEY: "some value", OTHER_KEY: "other" });
    expect(configuration.pools[0]).to.deep.include({
      command: ["php", "psr-worker.php"],
      maxJobs: 64,
      maxQueueLength: 0,
    });
    expect(configuration.logs).to.deep.include({ level: "debug", output: ["/tmp/rr-test.log"] });
    expect(configuration.logs.channelLevels).to.deep.equal({ http: "fatal", server: "info" });
    const sections = warnings.filter(({ message }) => message.startsWith("RoadRunner has this section"));
    expect(sections.map(({ path }) => path)).to.deep.equal(
      "jobs kv orders amqp beanstalk boltdb sqs nats kafka redis memcached google-pub-sub metrics service lock tcp grpc centrifuge temporal otel".split(
        " ",
      ),
    );
    const others = warnings.filter((warning) => !sections.includes(warning)).map(({ path }) => path);
    expect(others).to.deep.equal([
      "logs.file_logger_options.compress",
      "logs.channels.http.mode",
      "logs.channels.http.encoding",
      "logs.channels.http.output",
      "logs.channels.http.err_output",
      "http.headers.cors.allow_credentials",
      "http.static.request",
      "http.ssl.acme",
      "http.http3",
    ]);
    for (const warning of warnings) expect(warning.text).to.match(/roadrunner\.yaml:\d+:\d+: /);
  });

  it("reads .rr.yaml of the directory by default, from the disk", () => {
    const directory = mkdtempSync(join(tmpdir(), "rr-config-"));
    try {
      writeFileSync(join(directory, ".rr.yaml"), MINIMAL);
      const { configuration } = loadConfiguration({ cwd: directory, env: {} });
      expect(configuration.configFile).to.equal(join(directory, ".rr.yaml"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("works in the folder of the file unless told where", () => {
    const text = { "/app/conf/rr.yaml": MINIMAL };
    expect(load("", { file: "conf/rr.yaml", files: text }).configuration.workingDirectory).to.equal("/app/conf");
    const { configuration } = load("", { file: "conf/rr.yaml", files: text, workingDirectory: "/srv" });
    expect(configuration.workingDirectory).to.equal("/srv");
    expect(configuration.pools[0]!.workingDirectory).to.equal("/srv");
  });

  it("says how to get a file where there is none", () => {
    const { message, reason } = failure(() => loadConfiguration({ cwd: "/nowhere", env: {} }));
    expect(reason).to.equal("CONFIG_INVALID");
    expect(message).to.equal(
      "the configuration is wrong:\n  .rr.yaml: the file /nowhere/.rr.yaml does not exist: " +
        "write one with `rrctl init`, or name another one with -c",
    );
    expect(failure(() => loadConfiguration({ cwd: "/", file: tmpdir(), env: {} })).message).to.contain(
      "is a directory",
    );
  });

  it("throws all errors at once, one a line, with their violations", () => {
    const text = 'version: 3\nsever:\n  command: x\nhttp:\n  adress: ":80"\n  pool: {num_workers: many, ttl: 1h}\n';
    const error = failure(() => loadConfiguration({ cwd: "/app", env: {}, text }));
    expect(error.message.split("\n")).to.deep.equal([
      "the configuration has 5 errors:",
      '  .rr.yaml:1:10: version: expected "3", got 3; it is text and needs quotes: write `version: "3"`',
      '  .rr.yaml:2:1: sever: unknown key "sever"; did you mean "server"?',
      '  .rr.yaml:5:3: http.adress: unknown key "adress"; did you mean "address"?',
      '  .rr.yaml:6:23: http.pool.num_workers: expected a whole number from 0 to 10000, got "many"',
      '  .rr.yaml:6:29: http.pool.ttl: unknown key "ttl"; it belongs to "http.pool.supervisor" or to "pools.<name>.supervisor"',
    ]);
    expect(error.violations[3]).to.deep.equal({
      field: "http.pool.num_workers",
      description: '.rr.yaml:6:23: http.pool.num_workers: expected a whole number from 0 to 10000, got "many"',
    });
  });

  describe("version", () => {
    const versionError = (line: string) => check(`${line}\nserver: {command: x}\nhttp: {address: ":80"}`).errors;

    for (const [line, expected] of [
      ["", '.rr.yaml:2:1: version: it is missing: add `version: "3"`'],
      ["version:", '.rr.yaml:1:1: version: it is missing: add `version: "3"`'],
      ["version: 3", '.rr.yaml:1:10: version: expected "3", got 3; it is text and needs quotes: write `version: "3"`'],
      ["version: '4'", '.rr.yaml:1:10: version: expected "3", got "4"; write `version: "3"`'],
      ["version: [3]", '.rr.yaml:1:10: version: expected "3", got a list; write `version: "3"`'],
      [
        'version: "2.7"',
        '.rr.yaml:1:10: version: expected "3", got "2.7"; this is a file of RoadRunner 2: write `version: "3"` and see what else is reported then',
      ],
    ] as const)
      it(`is wrong in ${JSON.stringify(line)}`, () => {
        expect(versionError(line)).to.deep.equal([expected]);
      });
  });

  describe("values", () => {
    for (const [more, expected] of [
      [
        "logs: {level: loud}",
        '3:15: logs.level: expected "debug", "info", "warn", "error", "panic", "dpanic" or "fatal", got "loud"',
      ],
      [
        "logs: {level: inof}",
        '3:15: logs.level: expected "debug", "info", "warn", "error", "panic", "dpanic" or "fatal", got "inof"; did you mean "info"?',
      ],
      ["logs: info", '3:7: logs: expected keys and values (mode, level, encoding, ...), got "info"'],
      ["rpc: tcp://x:1", '3:6: rpc: expected keys and values (listen, insecure), got "tcp://x:1"'],
      ["http: {address: {}}", "3:17: http.address: expected text, got keys and values"],
      ["http: {raw_body: maybe}", '3:18: http.raw_body: expected true or false, got "maybe"'],
      ["http: {raw_body: yes}", '3:18: http.raw_body: expected true or false, got "yes": write true'],
      ["http: {raw_body: 2}", "3:18: http.raw_body: expected true or false, got 2"],
      ["http: {frontends: 0}", "3:19: http.frontends: expected 1 to 64, got 0"],
      ["http: {frontends: 1.5}", "3:19: http.frontends: expected a whole number from 1 to 64, got 1.5"],
      ["http: {frontends: .inf}", "3:19: http.frontends: expected a whole number from 1 to 64, got .inf"],
      ["http: {frontends: true}", "3:19: http.frontends: expected a whole number from 1 to 64, got true"],
      ["http: {max_connections: -1}", "3:25: http.max_connections: expected 0 to 4294967295, got -1"],
      ["http: {max_connections: 4294967296}", "3:25: http.max_connections: expected 0 to 4294967295, got 4294967296"],
      [
        "http: {max_request_size: huge}",
        '3:26: http.max_request_size: expected a size such as "64MB" (a bare number is megabytes), got "huge"',
      ],
      [
        "http: {max_request_size: -1}",
        '3:26: http.max_request_size: expected a size such as "64MB" (a bare number is megabytes), got -1',
      ],
      ["http: {max_header_size: 12}", "3:25: http.max_header_size: expected 1KB to 16MB, got 12B"],
      [
        "http: {header_timeout: 1d}",
        '3:24: http.header_timeout: expected a time such as "60s", "1m30s" or "500ms", got "1d": write "24h"',
      ],
      [
        "http: {header_timeout: soon}",
        '3:24: http.header_timeout: expected a time such as "60s", "1m30s" or "500ms", got "soon"',
      ],
      [
        "http: {header_timeout: true}",
        '3:24: http.header_timeout: expected a time such as "60s", "1m30s" or "500ms", got true',
      ],
      ["http: {header_timeout: -1s}", "3:24: http.header_timeout: expected 100ms to 24h, got -1s"],
      ["http: {header_timeout: 0s}", "3:24: http.header_timeout: expected 100ms to 24h, got 0s"],
      ["http: {middleware: {a: 1}}", "3:20: http.middleware: expected a list, got keys and values"],
      ["http: {middleware: [[a]]}", "3:21: http.middleware: expected text in the list, got a list"],
      [
        "http: {pool: {command: ' '}}",
        '3:24: http.pool.command: expected a command, such as "php worker.php" or [php, worker.php], got " "',
      ],
      [
        "http: {pool: {command: []}}",
        '3:24: http.pool.command: expected a command, such as "php worker.php" or [php, worker.php], got an empty list',
      ],
      [
        "http: {pool: {command: 7}}",
        '3:24: http.pool.command: expected a command, such as "php worker.php" or [php, worker.php], got 7',
      ],
      [
        "http: {pool: {command: [php, {}]}}",
        '3:30: http.pool.command: expected a command, such as "php worker.php" or [php, worker.php], got keys and values in the list',
      ],
      ["pools: [a]", "3:8: pools: expected names and values, got a list"],
      ["pools: {a: 1}", "3:12: pools.a: expected keys and values (debug, command, num_workers, ...), got 1"],
      ["pools: {a.b: {}}", '3:9: pools.a.b: "a.b" is no name: use letters, digits, "-" and "_"'],
      [
        "pools: {a: {mode: 'x y'}}",
        '3:19: pools.a.mode: expected at most 64 letters, digits and any of . / _ -, got "x y"',
      ],
      [
        "pools: {a: {supervisor: {exec_ttl: 1000h}}}",
        "3:36: pools.a.supervisor.exec_ttl: expected 0s to 576h, got 1000h",
      ],
      [
        "pools: {a: {supervisor: {ttl: 100000000h}}}",
        "3:31: pools.a.supervisor.ttl: expected 0s to 87660000h, got 100000000h",
      ],
      [
        "pools: {a: {dynamic_allocator: {idle_timeout: 1ms}}}",
        "3:47: pools.a.dynamic_allocator.idle_timeout: expected 1s to 576h, got 1ms",
      ],
      ["endure: {watchdog_sec: x}", '3:24: endure.watchdog_sec: expected a whole number from 0 on, got "x"'],
    ] as const)
      it(`refuses ${more}`, () => {
        expect(errorsWith(more)).to.deep.equal([`.rr.yaml:${expected}`]);
      });

    it("refuses a map of texts that holds more", () => {
      const { errors } = check('version: "3"\nserver: {command: x, env: {A: [1], B: {}}}\npools: {a: {}}');
      expect(errors).to.deep.equal([
        ".rr.yaml:2:31: server.env.A: expected text, got a list",
        ".rr.yaml:2:39: server.env.B: expected text, got keys and values",
      ]);
    });

    it("takes numbers, booleans and levels in the letters and quotes that people use", () => {
      const { configuration } = load(
        `version: "3"\nserver: {command: php x.php}\nlogs: {level: WARN, output: stdout}\n` +
          `http: {address: ":80", frontends: "2", raw_body: "TRUE", access_logs: 1, max_request_size: "2GB"}`,
      );
      expect(configuration.logs).to.deep.include({ level: "warn", output: ["stdout"] });
      expect(configuration.http).to.deep.include({
        frontends: 2,
        rawBody: true,
        accessLogs: true,
        maxRequestBytes: 2 * 1024 ** 3,
      });
    });

    it("reads a bare number of a duration as seconds and says so", () => {
      const { loaded, warnings } = check(`${MINIMAL}endure: {grace_period: 5}\npools: {a: {supervisor: {ttl: 0}}}`);
      expect(loaded!.configuration.gracePeriodMs).to.equal(5000);
      expect(warnings).to.deep.equal([
        '.rr.yaml:4:24: endure.grace_period: a number without a unit is read as seconds: write "5s"',
      ]);
    });

    it("takes 0 for the default where RoadRunner does", () => {
      const { configuration, origins } = load(
        `version: "3"\nserver: {command: x}\nhttp: {address: ":80", internal_error_code: 0, max_request_size: 0, ` +
          "pool: {num_workers: 0, allocate_timeout: 0s, destroy_timeout: 0, dynamic_allocator: {idle_timeout: 0}}}",
      );
      expect(configuration.http).to.deep.include({ internalErrorCode: 500, maxRequestBytes: 1000 * 1024 * 1024 });
      expect(configuration.pools[0]!.numWorkers).to.be.greaterThan(0);
      expect(configuration.pools[0]).to.deep.include({ queueWaitMs: 60_000, destroyTimeoutMs: 60_000 });
      expect(configuration.pools[0]!.dynamicAllocator!.idleTimeoutMs).to.equal(60_000);
      expect(origins.get("http.internal_error_code")).to.equal("default");
    });

    it("warns of quotes in a command that is text", () => {
      const { warnings } = check(`version: "3"\nserver: {command: php -r "echo 1;"}\npools: {a: {}}`);
      expect(warnings).to.deep.equal([
        ".rr.yaml:2:19: server.command: quotes and backslashes mean nothing in a command that is text: use a list",
      ]);
    });

    it("warns of keys without effect only where they differ from their defaults", () => {
      const { warnings } = check(
        `${MINIMAL}logs: {err_output: [stderr], line_ending: "\\n"}\nendure: {print_graph: false, log_level: error}`,
      );
      expect(warnings).to.deep.equal([]);
      expect(check(`${MINIMAL}endure: {watchdog_sec: 5}`).warnings).to.deep.equal([
        ".rr.yaml:4:24: endure.watchdog_sec: it has no effect: signs of life to systemd are not sent yet",
      ]);
    });
  });

  describe("missing keys", () => {
    it("names the command where a pool has none", () => {
      expect(check('version: "3"\nhttp: {address: ":80"}\npools: {a: {}, b: {command: x}}').errors).to.deep.equal([
        '.rr.yaml:1:1: server.command: it is missing: name what starts a worker, such as "php worker.php", here or in http.pool.command, pools.a.command',
      ]);
      expect(check('version: "3"\nserver: {user: x}\nhttp: {address: ":80"}').errors[0]).to.match(
        /^\.rr\.yaml:2:1: server\.command: /,
      );
    });

    it("needs no server section where pools have commands", () => {
      load('version: "3"\npools: {b: {command: x}}');
    });

    it("does not complain of a missing command where the section is misspelled", () => {
      expect(check('version: "3"\nsevrer: {command: x}\nhttp: {address: ":80"}').errors).to.deep.equal([
        '.rr.yaml:2:1: sevrer: unknown key "sevrer"; did you mean "server"?',
      ]);
    });

    it("needs a command of on_init", () => {
      expect(check('version: "3"\nserver:\n  command: x\n  on_init: {user: x}\npools: {a: {}}').errors).to.deep.equal([
        ".rr.yaml:4:3: server.on_init.command: it is missing: add `command: php artisan migrate --force`",
      ]);
    });

    it("warns of an http section without address, and of a file without pools", () => {
      expect(check('version: "3"\nserver: {command: x}\nhttp: {pool: {}}').warnings).to.deep.equal([
        ".rr.yaml:3:1: http: http.address is missing: the pool is there, but nothing listens for HTTP",
      ]);
      expect(check('version: "3"').warnings).to.deep.equal([".rr.yaml:1:1: there is no pool: add `http` or `pools`"]);
    });
  });

  it("tells where each value comes from", () => {
    const { provenance } = loadWith("logs: {level: $LEVEL, output: [a, $LEVEL]}", {
      env: { LEVEL: "warn" },
      overrides: ["http.frontends=2"],
    });
    const of = (path: string) => provenance.find((entry) => entry.path === path);
    expect(of("http.address")).to.deep.equal({
      path: "http.address",
      value: "127.0.0.1:8080",
      kind: "file",
      origin: ".rr.yaml:3:17",
    });
    expect(of("logs.level")).to.deep.equal({
      path: "logs.level",
      value: "warn",
      kind: "environment",
      origin: ".rr.yaml:4:15, ${LEVEL}",
    });
    expect(of("logs.output")).to.deep.include({ value: '["a","warn"]', kind: "environment" });
    expect(of("http.frontends")).to.deep.include({ value: "2", kind: "override", origin: "-o http.frontends=2" });
    expect(of("http.pool.allocate_timeout")).to.deep.include({ value: "60s", kind: "default", origin: "default" });
    expect(of("http.pool.dynamic_allocator.max_workers")).to.equal(undefined);
  });

  it("does not load the validator of the API, which takes longer than all the rest", () => {
    const directory = fileURLToPath(new URL("../../../src/config/", import.meta.url));
    const importers = readdirSync(directory).filter((file) =>
      /from "@bufbuild\/protovalidate"/.test(readFileSync(join(directory, file), "utf8")),
    );
    expect(importers).to.deep.equal([]);
  });
});
