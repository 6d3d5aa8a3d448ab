import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { loadConfiguration } from "../../../src/config/load.ts";
import type { PoolOptions, ServerConfiguration } from "../../../src/config/options.ts";
import { COMPATIBLE_RR_VERSION } from "../../../src/version.ts";
import { check, errorsWith, load, loadWith } from "./support.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/config/", import.meta.url));
const MEGABYTE = 1024 * 1024;

describe("config resolution", () => {
  it("has all defaults of the reference", () => {
    const { configuration } = loadWith("");
    const expected: ServerConfiguration = {
      configFile: "/app/.rr.yaml",
      workingDirectory: "/app",
      gracePeriodMs: 30_000,
      drainDelayMs: 0,
      control: {
        listen: undefined,
        socket: { mode: 0o600, group: undefined },
        tls: undefined,
        tokensFile: undefined,
        maxMessageBytes: 64 * MEGABYTE,
        eventsKept: 10_000,
      },
      rpc: undefined,
      logs: { mode: "development", level: "info", encoding: "console", output: ["stderr"], channelLevels: {} },
      onInit: undefined,
      pools: [
        {
          name: "http",
          command: ["php", "worker.php"],
          env: { RR_RELAY: "pipes", RR_VERSION: COMPATIBLE_RR_VERSION, RR_MODE: "http" },
          workingDirectory: "/app",
          user: undefined,
          group: undefined,
          passedEnv: undefined,
          relay: { kind: "pipes" },
          protocol: "goridge3",
          debug: false,
          numWorkers: availableParallelism(),
          numWorkersMax: 2048,
          maxJobs: 0,
          maxQueueLength: 10_000,
          queueWaitMs: 60_000,
          bootTimeoutMs: 60_000,
          destroyTimeoutMs: 60_000,
          resetTimeoutMs: 60_000,
          retireTimeoutMs: 3_600_000,
          streamTimeoutMs: 60_000,
          stopGraceMs: 10_000,
          frameBytesMax: 256 * MEGABYTE,
          supervisor: { watchTickMs: 5000, ttlMs: 0, idleTtlMs: 0, execTtlMs: 0, workerMemoryBytesMax: 0 },
          dynamicAllocator: undefined,
        },
      ],
      http: {
        address: { kind: "tcp", host: "127.0.0.1", port: 8080 },
        tls: undefined,
        http2: { h2c: false, maxConcurrentStreams: 128 },
        fastCgi: undefined,
        user: undefined,
        group: undefined,
        pool: "http",
        routes: [],
        frontends: 1,
        internalErrorCode: 500,
        maxRequestBytes: 1000 * MEGABYTE,
        maxHeaderBytes: 65_536,
        maxConnections: 0,
        headerTimeoutMs: 30_000,
        bodyIdleTimeoutMs: 60_000,
        keepAliveTimeoutMs: 75_000,
        headersMax: 256,
        requestTimeoutMs: 3_600_000,
        writeIdleTimeoutMs: 300_000,
        formFieldsMax: 10_000,
        rawBody: false,
        uploads: {
          forbid: ".php .php3 .php4 .php5 .php7 .php8 .phtml .pht .phps .phar .exe .bat".split(" "),
          allow: [],
          fileBytesMax: 0,
          oversizedFiles: "refuse",
          filesMax: 1000,
          fieldsMax: 10_000,
          fieldBytesMax: 10 * MEGABYTE,
        },
        spool: { directory: undefined, bytesMax: 0 },
        accessLogs: false,
        contextCodec: "json",
        debug: false,
        middleware: [],
        headers: undefined,
        compression: { minBytes: 1024, encodings: ["zstd", "br", "gzip"] },
        static: undefined,
        sendfile: { root: "/app", rootOnly: false },
        trustedSubnets: [],
        trustedHeaders: ["Forwarded", "X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"],
        browserReload: undefined,
      },
      fileServer: undefined,
      status: undefined,
      spool: { directory: undefined, bytesMax: 0 },
      waitingReplies: { replyBytesMax: 256 * MEGABYTE, streamBytesMax: 16 * MEGABYTE, totalBytesMax: 1024 * MEGABYTE },
      reload: undefined,
    };
    expect(configuration).to.deep.equal(expected);
  });

  it("has the defaults of the dynamic allocator once it is named, of rpc and of on_init", () => {
    const { configuration } = load(
      'version: "3"\nserver: {command: x, on_init: {command: y}}\nrpc: {}\npools: {a: {dynamic_allocator: {}}}',
    );
    expect(configuration.pools[0]!.dynamicAllocator).to.deep.equal({
      maxWorkers: 10,
      spawnRate: 5,
      idleTimeoutMs: 60_000,
    });
    expect(configuration.rpc!.listen).to.deep.equal({ kind: "tcp", host: "127.0.0.1", port: 6001 });
    expect(configuration.onInit).to.deep.equal({
      command: ["y"],
      execTimeoutMs: 60_000,
      env: {},
      user: undefined,
      exitOnError: false,
    });
  });

  it("has what every key of the file says", () => {
    const { configuration, env } = loadConfiguration({ file: "every-key.yaml", cwd: FIXTURES, env: {} });
    const directory = FIXTURES.replace(/\/$/, "");
    const sharedEnv = {
      RR_RELAY: `unix://${directory}/rr.sock`,
      RR_RPC: `unix://${directory}/rpc.sock`,
      APP_ENV: "prod",
      APP_DEBUG: "1",
      PORT: "8080",
      RR_VERSION: COMPATIBLE_RR_VERSION,
      RR: "true",
      RR_MODE: "web",
    };
    const pool: Omit<PoolOptions, "name" | "debug" | "numWorkers"> = {
      command: ["php", "web.php"],
      env: sharedEnv,
      workingDirectory: directory,
      user: "www-data",
      group: "www-data",
      passedEnv: ["DATABASE_URL"],
      relay: { kind: "unix", path: join(directory, "rr.sock") },
      protocol: "goridge1",
      numWorkersMax: 600,
      maxJobs: 64,
      maxQueueLength: 5,
      queueWaitMs: 5000,
      bootTimeoutMs: 6000,
      destroyTimeoutMs: 2000,
      resetTimeoutMs: 3000,
      retireTimeoutMs: 1_200_000,
      streamTimeoutMs: 4000,
      stopGraceMs: 7000,
      frameBytesMax: 32 * MEGABYTE,
      supervisor: {
        watchTickMs: 8000,
        ttlMs: 3_600_000,
        idleTtlMs: 600_000,
        execTtlMs: 9000,
        workerMemoryBytesMax: 128 * MEGABYTE,
      },
      dynamicAllocator: { maxWorkers: 6, spawnRate: 2, idleTimeoutMs: 20_000 },
    };
    expect(env).to.deep.equal({ FROM_ENVFILE: "1" });
    expect(configuration).to.deep.equal({
      configFile: join(directory, "every-key.yaml"),
      workingDirectory: directory,
      gracePeriodMs: 33_000,
      drainDelayMs: 2000,
      control: {
        listen: { kind: "tcp", host: "", port: 7002 },
        socket: { mode: 0o660, group: "root" },
        tls: {
          certFile: join(directory, "control.crt"),
          keyFile: join(directory, "control.key"),
          clientCaFile: join(directory, "clients.crt"),
          roles: { alice: "admin", "*": "viewer" },
        },
        tokensFile: join(directory, "control.tokens"),
        maxMessageBytes: 16 * MEGABYTE,
        eventsKept: 500,
      },
      rpc: { listen: { kind: "unix", path: join(directory, "rpc.sock") } },
      logs: {
        mode: "production",
        level: "warn",
        encoding: "console",
        output: [join(directory, "file.log")],
        channelLevels: { http: "fatal" },
      },
      onInit: {
        command: ["php", "migrate.php", "--force"],
        execTimeoutMs: 90_000,
        env: { APP_ENV: "init" },
        user: "1000",
        exitOnError: true,
      },
      pools: [
        { ...pool, name: "http", debug: true, numWorkers: 0, env: { ...pool.env, RR_DEBUG: "1" } },
        { ...pool, name: "api", debug: false, numWorkers: 3 },
      ],
      http: {
        address: { kind: "tcp", host: "", port: 8081 },
        tls: {
          address: { kind: "tcp", host: "", port: 8443 },
          redirect: true,
          keyFile: join(directory, "acme/certificate.key"),
          certFile: join(directory, "acme/certificate.crt"),
          clientCaFile: join(directory, "clients.crt"),
          clientAuth: "require-any",
          acme: {
            email: "admin@example.com",
            domains: ["example.com", "www.example.com"],
            cacheDirectory: join(directory, "acme"),
            challenge: "tls-alpn-01",
            challengeAddress: { kind: "tcp", host: "", port: 8444 },
            answeredByFrontends: true,
            directoryUrl: "https://acme.example.com/directory",
            directoryCaFile: join(directory, "clients.crt"),
          },
        },
        http2: { h2c: true, maxConcurrentStreams: 64 },
        fastCgi: { address: { kind: "unix", path: join(directory, "fcgi.sock") }, mode: 0o666, group: "www-data" },
        user: "www-data",
        group: "adm",
        pool: "http",
        routes: [
          {
            path: "/api/*",
            host: "*.example.com",
            methods: ["POST"],
            headers: { "x-version": "2*" },
            pool: "api",
            contextCodec: "proto",
            debug: false,
            maxRequestBytes: 2 * MEGABYTE,
          },
        ],
        frontends: 2,
        internalErrorCode: 501,
        maxRequestBytes: 8 * MEGABYTE,
        maxHeaderBytes: 32_768,
        maxConnections: 1000,
        headerTimeoutMs: 11_000,
        bodyIdleTimeoutMs: 12_000,
        keepAliveTimeoutMs: 13_000,
        headersMax: 100,
        requestTimeoutMs: 840_000,
        writeIdleTimeoutMs: 15_000,
        formFieldsMax: 5000,
        rawBody: true,
        uploads: {
          forbid: [".php", ".phar"],
          allow: [".jpg"],
          fileBytesMax: 4 * MEGABYTE,
          oversizedFiles: "error",
          filesMax: 20,
          fieldsMax: 300,
          fieldBytesMax: 2 * MEGABYTE,
        },
        spool: { directory: join(directory, "spool"), bytesMax: 3 * MEGABYTE },
        accessLogs: true,
        contextCodec: "proto",
        debug: true,
        middleware: ["headers", "gzip", "static", join(directory, "middleware/own.mjs")],
        headers: {
          request: { "X-Request": "one" },
          response: { "X-Response": "two" },
          cors: {
            allowedOrigins: ["https://one.example", "https://*.two.example"],
            allowedOriginPattern: { source: "^https://three\\.example$", flags: "i" },
            allowedHeaders: ["Content-Type", "X-Token"],
            allowedMethods: ["GET", "PUT"],
            allowCredentials: true,
            exposedHeaders: ["X-Total"],
            maxAgeSeconds: 600,
            preflightStatus: 204,
            debug: true,
          },
        },
        compression: { minBytes: 2048, encodings: ["br", "gzip"] },
        static: {
          root: join(directory, "public"),
          etag: "weak",
          index: ["index.html"],
          precompressed: false,
          ranges: true,
          freshMs: 100,
          headers: { "X-Static": "out", "Cache-Control": "public, max-age=60" },
          forbid: [".twig"],
          allow: [".css", ".js"],
          extensionless: false,
          notFound: [".ico"],
          followLinks: "always",
        },
        sendfile: { root: join(directory, "storage"), rootOnly: true },
        trustedSubnets: ["10.0.0.0/8", "::1"],
        trustedHeaders: ["X-Real-Ip"],
        browserReload: { path: "/reload" },
      },
      fileServer: {
        address: { kind: "tcp", host: "127.0.0.1", port: 8082 },
        folders: [
          {
            prefix: "/files",
            root: join(directory, "files"),
            etag: "weak",
            index: ["index.html"],
            precompressed: true,
            ranges: true,
            freshMs: 5000,
            followLinks: "never",
            headers: { "Cache-Control": "public, max-age=30" },
            compress: true,
          },
        ],
      },
      status: {
        address: { kind: "tcp", host: "127.0.0.1", port: 8083 },
        unavailableStatus: 500,
        checkTimeoutMs: 5000,
      },
      spool: { directory: join(directory, "spool"), bytesMax: 3 * MEGABYTE },
      waitingReplies: { replyBytesMax: 32 * MEGABYTE, streamBytesMax: 2 * MEGABYTE, totalBytesMax: 512 * MEGABYTE },
      reload: {
        intervalMs: 2000,
        polling: true,
        rules: [
          {
            key: "reload.services.http.dirs",
            pools: ["http"],
            dirs: [join(directory, "src")],
            recursive: true,
            patterns: [".twig", ".yml"],
            ignore: ["storage", join(directory, "var/cache")],
          },
        ],
      },
    } satisfies ServerConfiguration);
  });

  it("says what is wrong with routes, and where", () => {
    const { errors, warnings } = check(`version: "3"
server: {command: x}
http:
  address: :80
  routes:
    - {pool: reprots, path: /reports/*}
    - {pool: reports, path: reports}
    - {path: /a}
    - {pool: reports, path: /b}
    - {pool: http, path: /b}
pools: {reports: {}}
`);
    for (const part of [
      'http.routes.0.pool: there is no pool "reprots" in pools; did you mean "reports"?',
      'http.routes.1.path: expected a path such as /reports/*, got "reports"',
      "http.routes.2.pool:",
    ])
      expect(
        errors.some((text) => text.includes(part)),
        `${part} in\n${errors.join("\n")}`,
      ).to.equal(true);
    expect(errors).to.have.length(3);
    expect(warnings.join("\n")).to.include("http.routes.3 has the same conditions and comes first");
  });

  it("says what is wrong with middleware, and where", () => {
    const { errors, warnings } = check(`version: "3"
server: {command: x}
http:
  address: :80
  trusted_subnets: [10.0.0.0/33, 10.0.0.1, localhost]
  trusted_headers: [X Real]
  gzip: {encodings: [deflate]}
  headers:
    request: {"X A": 1}
    response: {X-B: "a\\nb"}
    cors: {allowed_origin: "https://*.*.example", allowed_origin_regex: "(", allow_credentials: true}
  static: {dir: public, index: [../x]}
static: {dir: x}
fileserver:
  address: nowhere
  serve:
    - {prefix: files, rot: x}
`);
    expect(errors.map((text) => text.replace(/(: .{60}).*/s, "$1"))).to.have.length.above(8);
    for (const part of [
      '5:20: http.trusted_subnets: expected addresses and networks such as 10.0.0.0/8, got "10.0.0.0/33"',
      'http.trusted_headers: "X Real" is no name of a header',
      'http.gzip.encodings: expected "zstd", "br", "gzip", got "deflate"',
      'http.headers.request.X A: "X A" is no name of a header',
      "http.headers.response.X-B: expected a header's value, without line breaks",
      'http.headers.cors.allowed_origin: expected at most one "*" in an origin',
      "http.headers.cors.allowed_origin_regex: Invalid regular expression",
      'http.static.index: expected names of files such as index.html, got "../x"',
      'static: unknown key "static"; it belongs to "http"',
      "fileserver.address: expected",
      'fileserver.serve.0.prefix: expected a path such as /static, got "files"',
      'fileserver.serve.0.rot: unknown key "rot"; did you mean "root"?',
    ])
      expect(errors.join("\n")).to.contain(part);
    for (const name of ["headers", "static"])
      expect(warnings.join("\n")).to.contain(`http.${name}: it has no effect: "${name}" is not in http.middleware`);
  });

  describe("http.ssl.acme", () => {
    const acmeOf = (http: string, more = "") => {
      const acme = `acme: {email: a@b.c, domains: [A.example, a.example, b.example]${more}}`;
      const text = `version: "3"\nserver: {command: x}\nhttp: {${http ? `address: "${http}", ` : ""}ssl: {address: ":8443", ${acme}}}`;
      return load(text).configuration.http!.tls!.acme!;
    };
    const TLS_ALPN = ", challenge_type: tlsalpn-01";

    for (const [name, http, more, address, answered] of [
      ["http.address has the port", ":80", "", undefined, true],
      ["http.address has another port", "127.0.0.2:8080", "", { host: "127.0.0.2", port: 80 }, true],
      ["http.address has the port that was named", ":8080", ", alt_http_port: 8080", undefined, true],
      ["there is no http.address", "", "", { host: "", port: 80 }, false],
      ["http.ssl.address has the port", "", `${TLS_ALPN}, alt_tlsalpn_port: 8443`, undefined, true],
      ["http.ssl.address has another port", ":443", TLS_ALPN, { host: "", port: 443 }, true],
    ] as const)
      it(`challenges are answered where they are asked: ${name}`, () => {
        const { challengeAddress, answeredByFrontends } = acmeOf(http, more);
        expect(challengeAddress).to.deep.equal(address && { kind: "tcp", ...address });
        expect(answeredByFrontends).to.equal(answered);
      });

    it("names are in lower case, each once", () => {
      expect(acmeOf(":80").domains).to.deep.equal(["a.example", "b.example"]);
    });

    it("is Let's Encrypt's staging unless told otherwise", () => {
      expect(acmeOf(":80").directoryUrl).to.equal("https://acme-staging-v02.api.letsencrypt.org/directory");
      const real = acmeOf(":80", ", use_production_endpoint: true");
      expect(real.directoryUrl).to.equal("https://acme-v02.api.letsencrypt.org/directory");
    });

    for (const name of ["a b", "127.0.0.1", "::1", "a..b", "/etc", "b\u00fccher.example"])
      it(`does not take ${JSON.stringify(name)} for a name`, () => {
        const http = `{address: ":80", ssl: {acme: {email: a@b.c, domains: [${JSON.stringify(name)}]}}}`;
        const { errors } = check(`version: "3"\nserver: {command: x}\nhttp: ${http}`);
        expect(errors).to.have.length(1);
        expect(errors[0]).to.contain("http.ssl.acme.domains: expected names such as example.com, got ");
      });

    it("says what is wrong, and where", () => {
      const { errors } = check(`version: "3"
server: {command: x}
http:
  address: :80
  ssl:
    acme:
      email: a@b.c
      domains: ["*.example.com"]
      directory_url: http://acme.example.com
      directory_ca: ca.crt
`);
      expect(errors.map((text) => text.replace(/^\S+ /, ""))).to.deep.equal([
        'http.ssl.acme.domains: *.example.com: authorities check names with "*" over DNS alone, which is not supported: list the names',
        'http.ssl.acme.directory_url: expected an address with https://, got "http://acme.example.com"',
        "http.ssl.acme.directory_ca: the file /app/ca.crt does not exist",
      ]);
    });
  });

  it("splits a command of text at white space and takes a list as it is", () => {
    const command = (value: string) =>
      load(`version: "3"\nserver: {command: ${value}}\npools: {a: {}}`).configuration.pools[0]!.command;
    expect(command('" php  -d\\tx=1   worker.php "')).to.deep.equal(["php", "-d", "x=1", "worker.php"]);
    expect(command('[php, "a file.php", "", 5]')).to.deep.equal(["php", "a file.php", "", "5"]);
  });

  it("gives pools commands of their own, and queue and boot the time of allocate_timeout", () => {
    const { configuration } = load(
      'version: "3"\nserver: {command: a}\npools: {one: {command: b, allocate_timeout: 5s}, two: {allocate_timeout: 5s, queue_wait: 1s}}',
    );
    const [one, two] = configuration.pools;
    expect(one).to.deep.include({ command: ["b"], queueWaitMs: 5000, bootTimeoutMs: 5000 });
    expect(two).to.deep.include({ command: ["a"], queueWaitMs: 1000, bootTimeoutMs: 5000 });
  });

  describe("environment of workers", () => {
    const env = (text: string, options = {}) => load(`version: "3"\n${text}`, options).configuration.pools[0]!.env;

    it("has the pool's name for RR_MODE unless told otherwise", () => {
      expect(env("pools: {jobs: {command: x}}").RR_MODE).to.equal("jobs");
      expect(env("pools: {api: {command: x, mode: http}}").RR_MODE).to.equal("http");
    });

    it("is made of the file's variables between the addresses and the mode", () => {
      const texts = env(
        "server: {command: x, env: {rr_relay: mine, RR_VERSION: no, RR_MODE: no, a: $A, number: 0755, off: false, nil: }}\npools: {p: {}}",
        { env: { A: "b" } },
      );
      expect(texts).to.deep.equal({
        RR_RELAY: "mine",
        RR_VERSION: COMPATIBLE_RR_VERSION,
        RR_MODE: "p",
        A: "b",
        NUMBER: "0755",
        OFF: "0",
        NIL: "",
      });
    });

    it("may be a list of maps, as older files have it", () => {
      expect(env("server: {command: x, env: [{A: 1}, {B: 2, C: 3}]}\npools: {p: {}}")).to.include({
        A: "1",
        B: "2",
        C: "3",
      });
    });

    for (const [relay, told] of [
      ["pipes", "pipes"],
      ["tcp://127.0.0.1:7000", "tcp://127.0.0.1:7000"],
      ["tcp://0.0.0.0:7000", "tcp://127.0.0.1:7000"],
      ["tcp://:7000", "tcp://127.0.0.1:7000"],
      ["tcp://[::]:7000", "tcp://127.0.0.1:7000"],
      ["tcp://[::1]:7000", "tcp://localhost:7000"],
      ["unix://rr.sock", "unix:///app/rr.sock"],
    ] as const)
      it(`tells workers ${told} where the relay is ${relay}`, () => {
        expect(env(`server: {command: x, relay: "${relay}"}\npools: {p: {}}`).RR_RELAY).to.equal(told);
      });

    it("has RR and RR_HTTP for workers of RoadRunner 1", () => {
      const text = "server: {command: x, protocol: goridge1}\n";
      expect(env(`${text}http: {address: ":80"}`)).to.include({ RR: "true", RR_HTTP: "true" });
      expect(env(`${text}pools: {p: {}}`))
        .to.include({ RR: "true" })
        .and.not.have.property("RR_HTTP");
    });

    it("has no RR_RPC without rpc, and never an address that PHP cannot use", () => {
      expect(env("pools: {p: {command: x}}")).not.to.have.property("RR_RPC");
      expect(errorsWith('rpc: {listen: "tcp://[fe80::1]:6001"}\npools: {p: {}}')).to.deep.equal([
        ".rr.yaml:3:15: rpc.listen: PHP's libraries cannot connect to the IPv6 address fe80::1: use a host name, 127.0.0.1 or unix://path",
      ]);
    });
  });

  for (const [name, more, expected] of [
    [
      "a wrong address of control",
      'control: {listen: "6002"}',
      '3:19: control.listen: expected "tcp://host:port" or "unix://path", got "6002": a port alone is written ":6002"',
    ],
    [
      "more workers than may be",
      "pools: {a: {num_workers: 9, max_workers: 8}}",
      "3:26: pools.a.num_workers: expected at most 8, got 9: pools.a.max_workers sets the limit",
    ],
    [
      "more workers than may be by default",
      "pools: {a: {num_workers: 2049}}",
      "3:26: pools.a.num_workers: expected at most 2048, got 2049: pools.a.max_workers sets the limit",
    ],
    [
      "a second pool called http",
      'http: {address: ":80"}\npools: {http: {}}',
      '4:9: pools.http: the name "http" belongs to http.pool: choose another, or leave out one of them',
    ],
    [
      "one address for two",
      'http: {address: "127.0.0.1:6002"}\ncontrol: {listen: "127.0.0.1:6002"}',
      "3:17: http.address: control.listen has the address 127.0.0.1:6002 already: choose another",
    ],
    [
      "one socket for two",
      'rpc: {listen: "unix://a"}\ncontrol: {listen: "unix:///app/a"}',
      "3:15: rpc.listen: control.listen has the address /app/a already: choose another",
    ],
  ] as const)
    it(`refuses ${name}`, () => {
      expect(errorsWith(more)).to.deep.equal([`.rr.yaml:${expected}`]);
    });

  it("refuses a wrong relay", () => {
    expect(check('version: "3"\nserver: {command: x, relay: pipe}\npools: {a: {}}').errors).to.deep.equal([
      '.rr.yaml:2:29: server.relay: expected "pipes", "unix://path" or "tcp://host:port", got "pipe"',
    ]);
  });

  it("lets two listeners have port 0, and a pool be called http without http", () => {
    load('version: "3"\nserver: {command: x}\nhttp: {address: "127.0.0.1:0"}\ncontrol: {listen: "127.0.0.1:0"}');
    load('version: "3"\nserver: {command: x}\npools: {http: {}}');
  });

  it("makes a pool of an http section without an address", () => {
    const { configuration } = load('version: "3"\nserver: {command: x}\nhttp: {address: ""}');
    expect(configuration.http).to.equal(undefined);
    expect(configuration.pools.map(({ name }) => name)).to.deep.equal(["http"]);
  });

  it("writes logs as their mode says", () => {
    const logs = (text: string) => loadWith(`logs: {${text}}`).configuration.logs;
    expect(logs("mode: production").encoding).to.equal("json");
    expect(logs("mode: production, encoding: console").encoding).to.equal("console");
    expect(logs("mode: off").mode).to.equal("none");
    expect(logs("level: panic").level).to.equal("fatal");
    expect(logs("output: [logs/a.log, stdout]").output).to.deep.equal(["/app/logs/a.log", "stdout"]);
  });
});
