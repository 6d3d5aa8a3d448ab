import { availableParallelism } from "node:os";
import { expect } from "chai";
import { CONFIGURATION, notYetOf, settingOf } from "../../../src/config/schema.ts";
import { allKeys } from "./descriptor-walk.ts";
import { check, load } from "./support.ts";

/** Absent: the key has no value then. */
const NONE = undefined;

/** RoadRunner's keys and what it takes for those that are absent, as its reference says. */
const ROADRUNNER: Readonly<Record<string, string | undefined>> = {
  "server.command": NONE,
  "server.user": NONE,
  "server.group": NONE,
  "server.env": NONE,
  "server.relay": "pipes",
  "server.relay_timeout": NONE,
  "server.on_init.command": NONE,
  "server.on_init.exec_timeout": "60s",
  "server.on_init.env": NONE,
  "server.on_init.user": NONE,
  "server.on_init.exit_on_error": "false",
  "rpc.listen": "tcp://127.0.0.1:6001",
  "http.address": NONE,
  "http.ssl.address": "127.0.0.1:443",
  "http.ssl.redirect": "false",
  "http.ssl.key": NONE,
  "http.ssl.cert": NONE,
  "http.ssl.root_ca": NONE,
  "http.ssl.client_auth_type": "no_client_cert",
  "http.ssl.acme.email": NONE,
  "http.ssl.acme.domains": NONE,
  "http.ssl.acme.certs_dir": NONE,
  "http.ssl.acme.cache_dir": "rr_cache_dir",
  "http.ssl.acme.challenge_type": "http-01",
  "http.ssl.acme.alt_http_port": "80",
  "http.ssl.acme.alt_tlsalpn_port": "443",
  "http.ssl.acme.use_production_endpoint": "false",
  "http.fcgi.address": NONE,
  "http.http2.h2c": "false",
  "http.http2.max_concurrent_streams": "128",
  "http.pool.debug": "false",
  "http.pool.command": NONE,
  "http.pool.num_workers": String(availableParallelism()),
  "http.pool.max_jobs": "0",
  "http.pool.max_queue_size": "0",
  "http.pool.allocate_timeout": "60s",
  "http.pool.destroy_timeout": "60s",
  "http.pool.reset_timeout": "60s",
  "http.pool.stream_timeout": "60s",
  "http.pool.supervisor.watch_tick": "5s",
  "http.pool.supervisor.ttl": "0s",
  "http.pool.supervisor.idle_ttl": "0s",
  "http.pool.supervisor.exec_ttl": "0s",
  "http.pool.supervisor.max_worker_memory": "0",
  "http.pool.dynamic_allocator.max_workers": "10",
  "http.pool.dynamic_allocator.spawn_rate": "5",
  "http.pool.dynamic_allocator.idle_timeout": "60s",
  "http.internal_error_code": "500",
  "http.max_request_size": "1000MB",
  "http.uploads.dir": NONE,
  "http.uploads.forbid": NONE,
  "http.uploads.allow": NONE,
  "http.raw_body": "false",
  "http.access_logs": "false",
  "http.middleware": NONE,
  "http.headers.request": NONE,
  "http.headers.response": NONE,
  "http.headers.cors.allowed_origin": '["*"]',
  "http.headers.cors.allowed_origin_regex": NONE,
  "http.headers.cors.allowed_headers": '["Accept","Content-Type","X-Requested-With"]',
  "http.headers.cors.allowed_methods": '["GET","POST","HEAD"]',
  "http.headers.cors.allow_credentials": "false",
  "http.headers.cors.exposed_headers": NONE,
  "http.headers.cors.max_age": "0",
  "http.headers.cors.options_success_status": "200",
  "http.headers.cors.debug": "false",
  "http.static.dir": NONE,
  "http.static.forbid": NONE,
  "http.static.allow": NONE,
  "http.static.calculate_etag": "false",
  "http.static.weak": "false",
  "http.static.request": NONE,
  "http.static.response": NONE,
  "http.trusted_subnets": NONE,
  "http.trusted_headers": NONE,
  "fileserver.address": NONE,
  "fileserver.calculate_etag": "false",
  "fileserver.weak": "false",
  "fileserver.stream_request_body": "false",
  "fileserver.serve.0.prefix": NONE,
  "fileserver.serve.0.root": ".",
  "fileserver.serve.0.compress": "false",
  "fileserver.serve.0.cache_duration": "10s",
  "fileserver.serve.0.max_age": "0",
  "fileserver.serve.0.bytes_range": "false",
  "status.address": NONE,
  "status.unavailable_status_code": "503",
  "status.check_timeout": "60s",
  "logs.mode": "development",
  "logs.level": "debug",
  "logs.encoding": NONE,
  "logs.output": '["stderr"]',
  "logs.err_output": '["stderr"]',
  "logs.line_ending": "\n",
  "logs.channels": NONE,
  "logs.file_logger_options.log_output": "the folder for temporary files",
  "logs.file_logger_options.max_size": "100",
  "logs.file_logger_options.max_age": "24",
  "logs.file_logger_options.max_backups": "10",
  "logs.file_logger_options.compress": "false",
  "endure.grace_period": "30s",
  "endure.print_graph": "false",
  "endure.log_level": "error",
  "endure.watchdog_sec": "0",
  "reload.interval": "1s",
  "reload.patterns": '[".php"]',
  "reload.services": NONE,
  include: NONE,
  envfile: NONE,
};

/** Where the default is another one on purpose. */
const DIFFERENT: Readonly<Record<string, { ours: string | undefined; reason: string }>> = {
  "http.pool.max_queue_size": { ours: "10000", reason: "memory has to be bounded without a setting" },
  "http.uploads.forbid": {
    ours: '[".php",".php3",".php4",".php5",".php7",".php8",".phtml",".pht",".phps",".phar",".exe",".bat"]',
    reason: "what its samples have, and other names for PHP",
  },
  "logs.level": { ours: "info", reason: "debug costs a line for each request" },
  "server.relay_timeout": { ours: "60s", reason: "what samples have; it has no effect in either" },
  "http.trusted_headers": {
    ours: '["Forwarded","X-Forwarded-For","X-Real-Ip","True-Client-Ip","Cf-Connecting-Ip"]',
    reason: "the list that RoadRunner has without the key",
  },
  "logs.file_logger_options.log_output": { ours: NONE, reason: "a log in the folder for temporary files gets lost" },
};

const EVERY_SECTION = `version: "3"
server: {on_init: {command: x}}
rpc: {}
http:
  pool: {dynamic_allocator: {}, command: x}
  headers: {cors: {}}
  static: {dir: x}
  ssl: {acme: {email: a@b.c, domains: [b.c]}}
  fcgi: {address: unix://x}
fileserver: {address: ":80", serve: [{prefix: /}]}
status: {address: ":81"}
reload: {}
logs: {file_logger_options: {}}
`;
/** What has to be written for the rest to be there. */
const WRITTEN = [
  ...["version", "server.on_init.command", "http.pool.command", "http.static.dir"],
  ...["fileserver.address", "fileserver.serve.0.prefix", "status.address"],
  ...["http.ssl.acme.email", "http.ssl.acme.domains", "http.fcgi.address"],
];

describe("config defaults of RoadRunner", () => {
  const values = new Map(load(EVERY_SECTION).provenance.map(({ path, value }) => [path, value]));

  for (const [path, theirs] of Object.entries(ROADRUNNER).filter(([path]) => !WRITTEN.includes(path))) {
    const difference = DIFFERENT[path];
    const ours = difference ? difference.ours : theirs;
    const why = difference ? `, not ${JSON.stringify(theirs) ?? "absent"}: ${difference.reason}` : "";
    it(`${path} is ${JSON.stringify(ours) ?? "absent"}${why}`, () => {
      expect(values.get(path)).to.equal(ours === "[]" ? NONE : ours);
    });
  }

  it("lists only what differs", () => {
    for (const [path, { ours }] of Object.entries(DIFFERENT)) expect(ours, path).not.to.equal(ROADRUNNER[path]);
  });

  it("covers every key that is not our own", () => {
    const theirs = allKeys()
      .filter(({ field, path }) => path[0] !== "pools" && !path.includes("name") && !settingOf(field)?.own)
      .map(({ path }) => path.join("."));
    const leaves = theirs.filter(
      (path) => !theirs.some((other) => other.startsWith(`${path}.`)) && !allKeys().some((key) => isOwn(key, path)),
    );
    expect(Object.keys(ROADRUNNER).sort()).to.deep.equal(leaves.filter((path) => path !== "version").sort());
  });

  for (const section of notYetOf(CONFIGURATION))
    for (const value of ["{}", "", "[a]", "{a: {b: 1}}", '"$NOT_SET"'])
      it(`the section ${section} is a warning, never an error: ${JSON.stringify(value)}`, () => {
        const { errors, warnings } = check(`version: "3"\n${section}: ${value}\n`);
        expect(errors).to.deep.equal([]);
        expect(warnings).to.include(
          `.rr.yaml:2:1: ${section}: RoadRunner has this section, this server does not yet: it has no effect`,
        );
      });
});

/** A key of a section that is our own as a whole. */
function isOwn({ field, path }: ReturnType<typeof allKeys>[number], other: string): boolean {
  return settingOf(field)?.own === true && other.startsWith(`${path.join(".")}.`);
}
