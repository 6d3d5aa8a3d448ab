import { createSecureContext, type TLSSocket, type TlsOptions } from "node:tls";
import { ACME_TLS, alpnFile } from "../../config/acme-folder.ts";
import type { AcmeOptions } from "../../config/options.ts";
import { readTextFile } from "../../config/read-file.ts";

/**
 * Chooses the protocol of a connection like a list of protocols would, and besides answers an authority that asks by
 * tls-alpn-01 (RFC 8737): only such a client offers nothing but that protocol, and only it sees that certificate.
 */
export function chooseProtocol(
  protocols: readonly string[],
  { cacheDirectory, domains }: AcmeOptions,
): NonNullable<TlsOptions["ALPNCallback"]> {
  const names = new Set(domains);
  return function (this: TLSSocket, { servername, protocols: offered }) {
    if (offered.length !== 1 || offered[0] !== ACME_TLS) return protocols.find((one) => offered.includes(one));
    const domain = servername?.toLowerCase() ?? "";
    // Nothing but a name of the configuration may become a path.
    if (!names.has(domain)) return undefined;
    const read = readTextFile(alpnFile(cacheDirectory, domain));
    // No order is running: no protocol, no connection.
    if ("error" in read) return undefined;
    try {
      const pem = read.text;
      this.setKeyCert(createSecureContext({ key: pem, cert: pem }));
      return ACME_TLS;
    } catch {
      return undefined;
    }
  } as NonNullable<TlsOptions["ALPNCallback"]>;
}
