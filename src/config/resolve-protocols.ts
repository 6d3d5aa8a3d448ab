import { isIP } from "node:net";
import { join, resolve } from "node:path";
import type { Acme, Fcgi, Http, Ssl } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import type { Address, TcpAddress } from "../net/address.ts";
import { parseAddress, parseHttpAddress } from "./address.ts";
import { certificateProblem } from "./certificate.ts";
import type { AcmeOptions, ClientAuth, FastCgiOptions, HttpOptions, TlsOptions } from "./options.ts";
import type { ResolutionContext } from "./resolution.ts";

/** Stands in for an address that is wrong, so that the rest can be checked. */
const NO_ADDRESS = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

export function addressOf(text: string, path: string, { workingDirectory, report }: ResolutionContext): Address {
  const address = parseAddress(text, workingDirectory);
  if (!("error" in address)) return address;
  report(path, address.error);
  return NO_ADDRESS;
}

export function httpAddressOf(text: string, path: string, { report }: ResolutionContext): TcpAddress {
  const address = parseHttpAddress(text);
  if (!("error" in address)) return address;
  report(path, address.error);
  return NO_ADDRESS;
}

/** What is served besides plain HTTP/1. */
export function resolveProtocols(
  http: Http,
  context: ResolutionContext,
): Pick<HttpOptions, "tls" | "http2" | "fastCgi"> {
  const { h2c, maxConcurrentStreams } = http.http2!;
  return {
    tls: http.ssl && resolveTls(http.ssl, http, context),
    http2: { h2c: h2c!, maxConcurrentStreams: maxConcurrentStreams! },
    fastCgi: http.fcgi?.address ? resolveFastCgi(http.fcgi, context) : undefined,
  };
}

function resolveFastCgi(fcgi: Fcgi, context: ResolutionContext): FastCgiOptions {
  return {
    address: addressOf(fcgi.address!, "http.fcgi.address", context),
    mode: Number.parseInt(fcgi.mode!, 8),
    group: fcgi.group || undefined,
  };
}

const CLIENT_AUTH: Readonly<Record<string, ClientAuth>> = {
  no_client_cert: "none",
  no_client_certs: "none",
  request_client_cert: "request",
  require_any_client_cert: "require-any",
  verify_client_cert_if_given: "verify-if-given",
  require_and_verify_client_cert: "require-and-verify",
};

function resolveTls(ssl: Ssl, http: Http, context: ResolutionContext): TlsOptions {
  const { workingDirectory, report, reportMissing } = context;
  const acme = ssl.acme && resolveAcme(ssl.acme, http, context);
  const inCache = (name: string) => (acme ? join(acme.cacheDirectory, name) : "");
  if (acme) {
    if (ssl.key || ssl.cert) report("http.ssl.acme", "key and cert have no effect: acme brings its own", "warning");
  } else
    for (const key of ["key", "cert"] as const)
      if (!ssl[key])
        reportMissing(`http.ssl.${key}`, `http.ssl.${key} is missing: name a PEM file, or use http.ssl.acme`);
  if (!acme && ssl.key && ssl.cert) checkCertificate({ key: ssl.key, cert: ssl.cert }, "http.ssl", context);
  const clientCaFile = authoritiesFile(ssl.rootCa, "http.ssl.root_ca", context);
  if (ssl.redirect && !http.address)
    report("http.ssl.redirect", "it has no effect: without http.address there is nothing to redirect", "warning");
  return {
    address: httpAddressOf(ssl.address!, "http.ssl.address", context),
    redirect: ssl.redirect!,
    keyFile: acme ? inCache("certificate.key") : resolve(workingDirectory, ssl.key ?? ""),
    certFile: acme ? inCache("certificate.crt") : resolve(workingDirectory, ssl.cert ?? ""),
    clientCaFile,
    clientAuth: CLIENT_AUTH[ssl.clientAuthType!] ?? "none",
    acme,
  };
}

/** Absolute path of a file with certificates of authorities, which must be there if it is named. */
export function authoritiesFile(
  name: string | undefined,
  key: string,
  { workingDirectory, readFile, report }: ResolutionContext,
): string | undefined {
  if (!name) return undefined;
  const path = resolve(workingDirectory, name);
  const file = readFile(path);
  if ("error" in file) report(key, file.error, file.unread ? "warning" : "error");
  else if (!file.text.includes("-----BEGIN CERTIFICATE-----"))
    report(key, `${path} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)`);
  return path;
}

/** @param section where the two files are named */
export function checkCertificate(
  { key, cert }: { key: string; cert: string },
  section: string,
  { workingDirectory, readFile, report }: ResolutionContext,
): void {
  const paths = { key: resolve(workingDirectory, key), cert: resolve(workingDirectory, cert) };
  const [keyFile, certFile] = [readFile(paths.key), readFile(paths.cert)];
  if ("error" in keyFile) report(`${section}.key`, keyFile.error, keyFile.unread ? "warning" : "error");
  if ("error" in certFile) report(`${section}.cert`, certFile.error, certFile.unread ? "warning" : "error");
  if ("error" in keyFile || "error" in certFile) return;
  const problem = certificateProblem(certFile.text, keyFile.text);
  if (problem !== undefined) report(`${section}.${problem.file}`, `${paths[problem.file]} ${problem.text}`);
}

const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory";

function resolveAcme(acme: Acme, http: Http, context: ResolutionContext): AcmeOptions {
  const { workingDirectory, report } = context;
  for (const domain of acme.domains) {
    const problem = domainProblem(domain);
    if (problem !== undefined) report("http.ssl.acme.domains", problem);
  }
  if (acme.directoryUrl && !isHttps(acme.directoryUrl))
    report(
      "http.ssl.acme.directory_url",
      `expected an address with https://, got ${JSON.stringify(acme.directoryUrl)}`,
    );
  return {
    email: acme.email ?? "",
    domains: [...new Set(acme.domains.map((domain) => domain.toLowerCase()))],
    cacheDirectory: resolve(workingDirectory, acme.cacheDir!),
    ...challengePlace(acme, http, context),
    directoryUrl: acme.directoryUrl || (acme.useProductionEndpoint ? LETS_ENCRYPT : LETS_ENCRYPT_STAGING),
    directoryCaFile: authoritiesFile(acme.directoryCa, "http.ssl.acme.directory_ca", context),
  };
}

function domainProblem(domain: string): string | undefined {
  if (domain.startsWith("*."))
    return `${domain}: authorities check names with "*" over DNS alone, which is not supported: list the names`;
  if (isIP(domain) || !/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(domain))
    return `expected names such as example.com, got ${JSON.stringify(domain)}`;
  return undefined;
}

function isHttps(url: string): boolean {
  return URL.canParse(url) && new URL(url).protocol === "https:";
}

/** Who answers what the authority asks: the frontends if the port is one of theirs, a listener of its own otherwise. */
function challengePlace(
  acme: Acme,
  http: Http,
  context: ResolutionContext,
): Pick<AcmeOptions, "challenge" | "challengeAddress" | "answeredByFrontends"> {
  const overHttp = acme.challengeType === "http-01";
  const port = (overHttp ? acme.altHttpPort : acme.altTlsalpnPort)!;
  const secure = httpAddressOf(http.ssl!.address!, "http.ssl.address", context);
  const plain = http.address ? httpAddressOf(http.address, "http.address", context) : undefined;
  const asked = overHttp ? plain : secure;
  return {
    challenge: overHttp ? "http-01" : "tls-alpn-01",
    // Where HTTPS is reached from, the authority comes from.
    challengeAddress: asked?.port === port ? undefined : { kind: "tcp", host: (asked ?? secure).host, port },
    answeredByFrontends: asked !== undefined,
  };
}
