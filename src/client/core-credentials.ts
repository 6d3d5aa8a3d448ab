import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext } from "node:tls";
import { ChannelCredentials } from "nice-grpc";
import { RrError } from "../errors.ts";
import { isLoopback } from "../net/address.ts";

/** What the core is called in the greeting of TLS where it has an address and no name: addresses may not stand there. */
const NAMELESS = "core.rrctl.invalid";

/** Options of gRPC's channel that go with the credentials. */
export function channelNaming(address: string, { tls }: CoreCredentials): Record<string, string> {
  const host = hostOf(address);
  return tls !== undefined && host !== undefined && isIP(host) !== 0
    ? { "grpc.ssl_target_name_override": NAMELESS }
    : {};
}

/** Undefined: a socket in the file system. */
function hostOf(address: string): string | undefined {
  const tcp = /^(?:tcp:\/\/)?(?:\[([^\]]*)\]|([^:/]*)):\d+$/.exec(address);
  return tcp?.[1] ?? tcp?.[2];
}

/** What a client shows of itself to a core that asks. */
export interface CoreCredentials {
  readonly token?: string | undefined;
  /** Absent: nothing is encrypted. */
  readonly tls?: CoreTls | undefined;
}

/** PEM. */
export interface CoreTls {
  /** Authorities that may have signed the core's certificate, or that certificate itself; absent: those of the system. */
  readonly ca?: string | undefined;
  /** The client's own certificate. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Throws INVALID_REQUEST: the files are no certificates, or a token would travel where others can read it. */
export function channelCredentials(address: string, { token, tls }: CoreCredentials): ChannelCredentials {
  const host = hostOf(address);
  if (host === undefined) return ChannelCredentials.createInsecure();
  if (tls === undefined) {
    if (token !== undefined && !isLoopback(host))
      throw new RrError(
        "INVALID_REQUEST",
        `the token would travel to ${address} unencrypted: name the core's certificate, or who signed it, with --tls-ca`,
      );
    return ChannelCredentials.createInsecure();
  }
  try {
    return ChannelCredentials.createFromSecureContext(
      createSecureContext({
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
        minVersion: "TLSv1.2",
      }),
      isIP(host) === 0 ? {} : { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) },
    );
  } catch (thrown) {
    throw new RrError("INVALID_REQUEST", `the certificate or key cannot be used: ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
}
