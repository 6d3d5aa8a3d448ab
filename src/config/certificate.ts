import { createPrivateKey, X509Certificate } from "node:crypto";

export interface CertificateProblem {
  /** Which of the two files is to be changed. */
  readonly file: "key" | "cert";
  readonly text: string;
}

/** What keeps a certificate (the first of a chain) and a key, both PEM, from working together; undefined: nothing. */
export function certificateProblem(certPem: string, keyPem: string): CertificateProblem | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certPem);
  } catch {
    return { file: "cert", text: "is no certificate in PEM form (-----BEGIN CERTIFICATE-----)" };
  }
  try {
    const key = createPrivateKey(keyPem);
    if (!certificate.checkPrivateKey(key)) return { file: "key", text: "is not the key of the certificate" };
  } catch {
    return { file: "key", text: "is no private key in PEM form without a passphrase (-----BEGIN PRIVATE KEY-----)" };
  }
  return undefined;
}
