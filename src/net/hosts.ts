import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { systemErrorCode } from "../errors.ts";
import { EVERY_INTERFACE } from "./address.ts";

/** What the system says of an address whose family it does not have. */
const NO_SUCH_FAMILY = ["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL", "EPROTONOSUPPORT"];

/**
 * Listens at a host by name or address. A name is looked up before, so that all that share the port get the same
 * address: IPv4 if it has one, as in RoadRunner. No name at all means every interface, by one socket for both families,
 * or by IPv4 alone where there is no IPv6.
 *
 * @param attempt gets an IP address
 */
export async function listenAtHost<Result>(
  host: string,
  attempt: (address: string) => Promise<Result> | Result,
): Promise<Result> {
  if (host !== EVERY_INTERFACE) return attempt(await addressOfHost(host));
  try {
    return await attempt("::");
  } catch (thrown) {
    if (!NO_SUCH_FAMILY.includes(systemErrorCode(thrown) ?? "")) throw thrown;
    return attempt("0.0.0.0");
  }
}

async function addressOfHost(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  const found = await lookup(host, { all: true });
  return (found.find(({ family }) => family === 4) ?? found[0]!).address;
}
