import { constants } from "node:crypto";
import type { TLSSocket, TlsOptions } from "node:tls";
import type { ClientAuth } from "../../config/options.ts";
import { chooseProtocol } from "./alpn-challenge.ts";
import type { ServerCertificate } from "./server-certificate.ts";

export function tlsServerOptions(
  { material, clientAuth, acme }: ServerCertificate,
  { http2, handshakeTimeoutMs }: { http2: boolean; handshakeTimeoutMs: number },
): TlsOptions {
  const protocols = http2 ? ["h2", "http/1.1"] : ["http/1.1"];
  return {
    ...material,
    minVersion: "TLSv1.2",
    handshakeTimeout: handshakeTimeoutMs,
    ...(acme?.challenge === "tls-alpn-01"
      ? { ALPNCallback: chooseProtocol(protocols, acme) }
      : { ALPNProtocols: protocols }),
    requestCert: clientAuth !== "none",
    // The kinds are told apart when the certificate is there: see `acceptsPeer`.
    rejectUnauthorized: false,
    // A session that is taken up again brings no certificate: whether it was acceptable would be anybody's guess.
    ...(clientAuth === "none" ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
  };
}

/** Whether a client may come in, after the handshake. */
export function acceptsPeer(clientAuth: ClientAuth, socket: TLSSocket): boolean {
  switch (clientAuth) {
    case "none":
    case "request":
      return true;
    case "require-any":
      return hasCertificate(socket);
    case "verify-if-given":
      return !hasCertificate(socket) || socket.authorized;
    case "require-and-verify":
      return hasCertificate(socket) && socket.authorized;
  }
}

function hasCertificate(socket: TLSSocket): boolean {
  const certificate = socket.getPeerCertificate();
  return certificate !== null && Object.keys(certificate).length > 0;
}
