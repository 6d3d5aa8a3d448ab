import { expect } from "chai";
import { toGetConfigResponse } from "../../../src/config/contract.ts";
import { createRedact, looksSecret, maskText } from "../../../src/config/secret-text.ts";
import { environmentSecrets } from "../../../src/config/secrets.ts";
import { plainConfiguration, writeYaml } from "../../../src/config/write.ts";
import { check, load, MINIMAL } from "./support.ts";

const PLANTED = "planted-5d1e";

describe("config secrets", () => {
  it("are told by the names of their keys", () => {
    const secret = [
      ..."DB_PASSWORD db_pass PASSWD API_KEY apiKey APP_KEY AWS_SECRET_ACCESS_KEY GITHUB_TOKEN DATABASE_DSN GITHUB_PAT DB_CREDS ACCESSKEY".split(
        " ",
      ),
      ..."Authorization X-Api-Key Cookie JWT_SECRET STRIPE_KEY PRIVATE_KEY SMTP_CREDENTIALS app.key KEY SALT".split(
        " ",
      ),
    ];
    const open =
      "APP_ENV HOME PATH KEYBOARD MONKEY PASSENGER_COUNT COMPASS AUTHOR TURKEY LANG HOSTNAME num_workers".split(" ");
    expect(secret.filter((name) => !looksSecret(name))).to.deep.equal([]);
    expect(open.filter(looksSecret)).to.deep.equal([]);
  });

  const texts: [text: string, masked: string][] = [
    ["redis://user:pw@host:6379/0", "redis://user:***@host:6379/0"],
    ["amqp://:pw@host", "amqp://:***@host"],
    ['php w.php --password="a b" x', "php w.php --password=*** x"],
    ["php w.php --password 'a b' x", "php w.php --password *** x"],
    ["php w.php --password=a,b;c&d x", "php w.php --password=*** x"],
    ['DB_PASSWORD="a b" php w.php', "DB_PASSWORD=*** php w.php"],
    [
      "sh -c 'DB_PASSWORD=ab php w.php --verbose --token cd'",
      "sh -c 'DB_PASSWORD=*** php w.php --verbose --token ***'",
    ],
    ['w -H "Authorization: Bearer ab" x', 'w -H "Authorization: Bearer ***" x'],
    ["mysql://u:p@ss/w@rd@host/db", "mysql://u:***@host/db"],
    ["http://host:8080/path", "http://host:8080/path"],
    ["tcp://127.0.0.1:6001", "tcp://127.0.0.1:6001"],
    ["php worker.php --password=pw --mode=fast", "php worker.php --password=*** --mode=fast"],
    ["php worker.php --api-key pw -v", "php worker.php --api-key *** -v"],
    ["php worker.php --token -v", "php worker.php --token -v"],
    ["a?token=pw&page=2", "a?token=***&page=2"],
    ["nothing of the kind", "nothing of the kind"],
  ];
  for (const [text, masked] of texts)
    it(`are told by their form: ${text}`, () => {
      expect(maskText(text)).to.equal(masked);
    });

  it("that are known are taken out of every text, as they are and as JSON has them", () => {
    const secrets = [
      'quo"ted-secret',
      "inner",
      "inner-and-outer",
      "-----BEGIN KEY-----\nline-of-a-key\n-----END KEY-----",
    ];
    const redact = createRedact([...secrets, "short", "true", "production", "12345"]);
    expect(redact(`a quo"ted-secret b`)).to.equal("a *** b");
    expect(redact(JSON.stringify({ msg: 'a quo"ted-secret' }))).to.equal('{"msg":"a ***"}');
    expect(redact("inner-and-outer")).to.equal("inner-and-outer".replace("inner-and-outer", "***"));
    expect(redact("it says line-of-a-key here")).to.equal("it says *** here");
    for (const text of ["short", "true", "in production", "-----BEGIN KEY-----", "port 12345"])
      expect(redact(text)).to.equal(text);
  });

  it("of the environment are no folders and files, such as the one that a shell stands in", () => {
    expect(
      environmentSecrets({
        PWD: "/srv/app/current",
        OLDPWD: "/srv/app/before",
        SSH_AUTH_SOCK: "/run/user/1000/agent",
        DB_PASSWORD_FILE: "/run/secrets/db",
        MYSQL_PWD: "planted-mysql",
        DB_PASSWORD: "planted-password",
        DATABASE: "mysql://u:planted-url@host/db",
      }),
    ).to.deep.equal(["planted-mysql", "planted-password", "planted-url"]);
  });

  const SECRETS = {
    literal: `${PLANTED}-literal`,
    fromEnvironment: `${PLANTED}-environment`,
    ofUrl: `${PLANTED}-url`,
    ofCommand: `${PLANTED}-command`,
    ofOverride: `${PLANTED}-override`,
    ofFile: `${PLANTED}-dotenv`,
    ofHeader: `${PLANTED}-header`,
    inInclude: `${PLANTED}-include`,
  };
  const text = `version: "3"
server:
  command: [php, worker.php, --api-key, ${SECRETS.ofCommand}]
  env:
    DB_PASSWORD: ${SECRETS.literal}
    SOME_VALUE: "x-$PLANTED_VALUE"
    REDIS_URL: redis://user:${SECRETS.ofUrl}@host
    APP_ENV: prod
    PRICE: "5$$"
  on_init: {command: "php init.php --token $PLANTED_VALUE", env: {TOKEN: ${SECRETS.literal}}}
http:
  address: "$HTTP_ADDRESS"
  middleware: [headers]
  headers: {request: {X-Api-Key: ${SECRETS.ofHeader}, X-Plain: plain}}
  pool: {num_workers: "$WORKERS"}
include: [more.yaml]
envfile: .env
`;
  const source = {
    env: { PLANTED_VALUE: SECRETS.fromEnvironment, HTTP_ADDRESS: "127.0.0.1:8088", WORKERS: "3" },
    overrides: [`server.env.API_TOKEN=${SECRETS.ofOverride}`],
    files: {
      "/app/more.yaml": `version: "3"\npools: {jobs: {command: "php jobs.php --secret=${SECRETS.inInclude} $FROM_FILE"}}\n`,
      "/app/.env": `FROM_FILE=${SECRETS.ofFile}\n`,
    },
  };

  it("are in no output of the configuration", () => {
    const loaded = load(text, source);
    const { configuration, yaml, provenance } = toGetConfigResponse(loaded, false);
    const outputs = {
      yaml,
      provenance: JSON.stringify(provenance),
      configuration: JSON.stringify(configuration, (_key, value) => (typeof value === "bigint" ? `${value}` : value)),
      rpc: JSON.stringify(plainConfiguration(loaded.masked.message)),
      commands: JSON.stringify(loaded.configuration.pools.map(({ shownCommand }) => shownCommand)),
    };
    for (const [name, output] of Object.entries(outputs)) expect(output, name).not.to.contain(PLANTED);
    expect(plainConfiguration(loaded.masked.message)).to.containSubset({
      server: {
        command: ["php", "worker.php", "--api-key", "***"],
        env: {
          DB_PASSWORD: "***",
          API_TOKEN: "***",
          SOME_VALUE: "x-$PLANTED_VALUE",
          REDIS_URL: "redis://user:***@host",
          APP_ENV: "prod",
          PRICE: "5$",
        },
      },
      http: { address: "127.0.0.1:8088", headers: { request: { "X-Api-Key": "***", "X-Plain": "plain" } } },
      pools: { jobs: { command: ["php", "jobs.php", "--secret=***", "$FROM_FILE"] } },
    });
    expect(loaded.configuration.http?.address?.port).to.equal(8088);
    expect(loaded.configuration.pools[0]!.numWorkers).to.equal(3);
  });

  it("are what workers get all the same", () => {
    const { configuration } = load(text, source);
    expect(configuration.pools[0]!.env).to.include({
      DB_PASSWORD: SECRETS.literal,
      API_TOKEN: SECRETS.ofOverride,
      SOME_VALUE: `x-${SECRETS.fromEnvironment}`,
    });
    expect(configuration.pools[0]!.command).to.deep.equal(["php", "worker.php", "--api-key", SECRETS.ofCommand]);
  });

  it("are shown to whoever may see them and asks", () => {
    const loaded = load(text, source);
    const { yaml, provenance } = toGetConfigResponse(loaded, true);
    expect(yaml).to.equal(writeYaml(loaded.message));
    for (const name of ["literal", "fromEnvironment", "ofUrl", "ofCommand", "ofOverride", "ofFile"] as const)
      expect(yaml, name).to.contain(SECRETS[name]);
    expect(provenance.find(({ path }) => path === "server.env.DB_PASSWORD")?.value).to.equal(SECRETS.literal);
  });

  it("left out, the text means the same where variables are concerned", () => {
    const { yaml } = toGetConfigResponse(
      load(`${MINIMAL}endure: {grace_period: "$T"}\nlogs: {output: "$OUT"}`, {
        env: { T: "5s", OUT: "/var/log/x" },
      }),
      false,
    );
    const again = load(yaml, { env: { T: "7s", OUT: "/var/log/y" } });
    expect(again.configuration.logs.output).to.deep.equal(["/var/log/y"]);
    expect(again.configuration.gracePeriodMs).to.equal(5_000);
  });

  it("are in no problem", () => {
    const { errors, warnings } = check(
      `version: "3"\nserver: {command: "", env: {DB_PASSWORD: [${PLANTED}]}}\n` +
        `http: {address: "$SECRET_ADDRESS", pool: {num_workers: "$SECRET_NUMBER"}}\n` +
        `status: {address: "$SECRET_ADDRESS"}\nrpc: {listen: "tcp://u:${PLANTED}@h:1"}\nlogs: {level: $SECRET_NUMBER}\n`,
      {
        env: { SECRET_ADDRESS: `${PLANTED}-address`, SECRET_NUMBER: `${PLANTED}-number` },
        overrides: [`server.env.TOKEN=`, `server.env.API_KEY=${PLANTED}=`, `bad.token=${PLANTED}`],
      },
    );
    expect(errors.length).to.be.above(4);
    expect([...errors, ...warnings].join("\n")).not.to.contain(PLANTED);
  });
});
