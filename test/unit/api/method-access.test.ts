import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { expect } from "chai";
import { role as roleOption } from "../../../gen/roadrunner/auth/v1/role_pb.ts";
import { methodAccess } from "../../../src/api/method-access.ts";
import { ROOT } from "../../support/php.ts";

/** Every service of the contract that is ours, from the generated files, whoever implements it. */
async function ownServices(): Promise<DescService[]> {
  const files = readdirSync(join(ROOT, "gen/roadrunner"), { recursive: true, encoding: "utf8" });
  const modules = await Promise.all(
    files.filter((file) => file.endsWith("_pb.ts")).map((file) => import(join(ROOT, "gen/roadrunner", file))),
  );
  return modules
    .flatMap((module) => Object.values(module as Record<string, unknown>))
    .filter((value): value is DescService => (value as { kind?: string } | undefined)?.kind === "service");
}

/** What nobody but operators and admins may do; everything else is looking, or a frontend's work. */
const CHANGES = /^(Scale|Reset|Pause|Resume|Add|Remove|Restart|Kill|Drain|Undrain|Validate|Apply|Update|Set)/;

describe("what methods ask for", () => {
  it("is said by every method of the contract", async () => {
    const services = await ownServices();
    expect(services).to.have.length.above(6);
    const silent = services.flatMap(({ typeName, methods }) =>
      methods.filter((method) => !hasOption(method, roleOption)).map(({ name }) => `${typeName}.${name}`),
    );
    expect(silent).to.deep.equal([]);
    for (const { methods } of services)
      for (const method of methods) expect(getOption(method, roleOption), method.name).to.be.above(0);
  });

  it("is no less than an operator for every change, an admin for the end, a frontend for payloads", async () => {
    const access = methodAccess(await ownServices());
    expect(access.size).to.be.above(20);
    for (const [path, { role, frontends }] of access) {
      const name = path.split("/").at(-1)!;
      if (name === "Shutdown") expect(role, path).to.equal("admin");
      else if (name.startsWith("Dispatch")) expect(role, path).to.equal("frontend");
      else if (CHANGES.test(name)) expect([role, frontends], path).to.deep.equal(["operator", false]);
      else expect(role, path).to.equal("viewer");
    }
  });

  it("is looked up for every call, in one place", () => {
    const server = readFileSync(join(ROOT, "src/api/server.ts"), "utf8");
    expect(server.match(/createServer\(/g)).to.have.length(1);
    expect(server).to.match(/createServer\(options\)\.use\(apiInterceptor\(admit,/);
  });

  it("has to be said: a service that says nothing is not served", () => {
    const silent = {
      typeName: "a.B",
      methods: [{ name: "C", proto: { options: undefined } }],
    } as unknown as DescService;
    expect(() => methodAccess([silent])).to.throw("a.B.C does not say which role may call it");
  });
});
