import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  readonly keyFile: string;
  readonly certFile: string;
  readonly key: string;
  readonly cert: string;
}

/** Why no certificates can be made here; undefined: they can. */
export function noOpenssl(): string | undefined {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "openssl is not installed: it makes the certificates for these tests";
  }
}

/** A certificate for 127.0.0.1 and localhost, made by openssl: signed by itself, or by `issuer`. */
export function makeCertificate(directory: string, name: string, issuer?: Certificate): Certificate {
  mkdirSync(directory, { recursive: true });
  const keyFile = join(directory, `${name}.key`);
  const certFile = join(directory, `${name}.crt`);
  const extensions = join(directory, `${name}.ext`);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
  if (issuer === undefined) {
    const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    openssl("req", "-x509", ...key, "-out", certFile, "-days", "2", "-subj", `/CN=${name}`, "-addext", names);
  } else {
    const request = join(directory, `${name}.csr`);
    writeFileSync(extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    openssl("req", ...key, "-out", request, "-subj", `/CN=${name}`);
    const signer = ["-CA", issuer.certFile, "-CAkey", issuer.keyFile, "-CAcreateserial"];
    openssl("x509", "-req", "-in", request, ...signer, "-out", certFile, "-days", "2", "-extfile", extensions);
  }
  return { keyFile, certFile, key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
}
