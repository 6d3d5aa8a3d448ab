import { resolve } from "node:path";
import type { Control, ControlTls, Rpc } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { exposureProblem } from "../access/exposure.ts";
import { isRole, ROLES, type Role } from "../access/role.ts";
import { parseTokens } from "../access/token-file.ts";
import { type Address, isLoopback, plainAddress } from "../net/address.ts";
import { addressForPhp } from "./address.ts";
import type { ControlOptions, ControlTlsOptions } from "./options.ts";
import type { ResolutionContext } from "./resolution.ts";
import { addressOf, authoritiesFile, checkCertificate } from "./resolve-protocols.ts";

/** Where operators get in, and what they have to show. */
export function resolveControl(control: Control, context: ResolutionContext): ControlOptions {
  const listen = control.listen ? addressOf(control.listen, "control.listen", context) : undefined;
  const options: ControlOptions = {
    listen,
    socket: { mode: Number.parseInt(control.mode!, 8), group: control.group || undefined },
    tls: control.tls && resolveControlTls(control.tls, context),
    tokensFile: tokensFile(control.tokens, context),
    maxMessageBytes: Number(control.maxMessageSize),
    eventsKept: control.eventsKept!,
  };
  if (listen?.kind !== "tcp") {
    for (const key of ["tls", "tokens"] as const)
      if (control[key])
        context.report(`control.${key}`, "it has no effect: it is for a TCP address in control.listen", "warning");
  } else {
    const problem = exposureProblem(exposureOf(options));
    if (problem !== undefined) context.report("control.listen", problem);
  }
  return options;
}

/** What the rules of `access/exposure.ts` look at. */
export function exposureOf({ listen, tls, tokensFile }: ControlOptions): Parameters<typeof exposureProblem>[0] {
  return {
    listen,
    isEncrypted: tls !== undefined,
    hasTokens: tokensFile !== undefined,
    hasCertificates: tls?.clientCaFile !== undefined,
  };
}

function resolveControlTls(tls: ControlTls, context: ResolutionContext): ControlTlsOptions {
  const { workingDirectory, report, reportMissing } = context;
  if (tls.cert && tls.key) checkCertificate({ key: tls.key, cert: tls.cert }, "control.tls", context);
  const clientCaFile = authoritiesFile(tls.clientCa, "control.tls.client_ca", context);
  const names = Object.keys(tls.roles);
  if (clientCaFile !== undefined && names.length === 0)
    reportMissing(
      "control.tls.roles",
      'control.tls.roles is missing: say what certificates may do, by common name, such as {alice: admin} or {"*": viewer}',
    );
  if (clientCaFile === undefined && names.length > 0)
    report(
      "control.tls.roles",
      "it has no effect: without control.tls.client_ca no certificate is asked for",
      "warning",
    );
  return {
    certFile: resolve(workingDirectory, tls.cert ?? ""),
    keyFile: resolve(workingDirectory, tls.key ?? ""),
    clientCaFile,
    roles: Object.fromEntries(names.flatMap((name) => roleEntry(name, tls.roles[name]!, context))),
  };
}

function roleEntry(name: string, role: string, { report }: ResolutionContext): [string, Role][] {
  if (isRole(role)) return [[name, role]];
  report(`control.tls.roles.${name}`, `expected one of ${ROLES.join(", ")}, got ${JSON.stringify(role)}`);
  return [];
}

/** What stands in the file is not repeated: it may be a token where its hash should be. */
function tokensFile(
  name: string | undefined,
  { workingDirectory, readFile, report }: ResolutionContext,
): string | undefined {
  if (!name) return undefined;
  const path = resolve(workingDirectory, name);
  const file = readFile(path);
  if ("error" in file) {
    const hint = file.unread ? "" : ": `rrctl token create` makes it";
    report("control.tokens", `${file.error}${hint}`, file.unread ? "warning" : "error");
    return path;
  }
  for (const { line, message } of parseTokens(file.text).problems)
    report("control.tokens", `${path}:${line}: ${message}`);
  return path;
}

export function resolveRpc(rpc: Rpc, context: ResolutionContext): { readonly listen: Address } {
  const listen = addressOf(rpc.listen!, "rpc.listen", context);
  if (listen.kind === "tcp" && !isLoopback(listen.host) && !rpc.insecure && !("error" in addressForPhp(listen)))
    context.report(
      "rpc.listen",
      `whoever reaches ${plainAddress(listen)} resets pools and reads the configuration, and nothing of it is encrypted: ` +
        "listen on 127.0.0.1 or a unix socket, or add `insecure: true` to `rpc` if everybody on that network may do so",
    );
  return { listen };
}
