import { randomBytes } from "node:crypto";

const processPart = randomBytes(6).toString("base64url");
let count = 0;

/** The client's X-Request-Id if it is fit for logs; otherwise one that no other request of any frontend has. */
export function requestIdFor(header: string | string[] | undefined): string {
  if (typeof header === "string" && ACCEPTABLE.test(header)) return header;
  return `${processPart}-${(++count).toString(36)}`;
}

const ACCEPTABLE = /^[\w.:/+=@-]{1,128}$/;
