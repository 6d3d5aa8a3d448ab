import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";

/** Never as the client sent it: what comes over the wire under this name is taken away. */
export const CERTIFICATE_METADATA = "rr-peer-certificate";

/**
 * Puts the common name of the caller's certificate into the metadata of its call, where services find it. Only of one
 * that an authority of ours has signed: the library hands out no other.
 */
export const peerCertificate: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, pass) => {
          metadata.remove(CERTIFICATE_METADATA);
          const subject = call.getAuthContext().sslPeerCertificate?.subject;
          const name = commonName(subject?.CN);
          if (name !== undefined) metadata.set(CERTIFICATE_METADATA, encodeURIComponent(name));
          pass(metadata);
        },
      }),
  });

/** A subject may have several; then none of them is the name. */
function commonName(name: string | string[] | undefined): string | undefined {
  return typeof name === "string" && name !== "" ? name : undefined;
}
