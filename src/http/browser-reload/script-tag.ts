import { Transform } from "node:stream";
import type { RequestScope } from "../request-scope.ts";
import type { BodyEncoder, HeadDraft, ResponseFilter } from "../response-filter.ts";

/** Adds a script to a page; to be used for one response. What is no page, or no whole one, stays as it is. */
export function scriptFilter(source: string): ResponseFilter {
  let added = false;
  return (head, scope) => {
    if (added || !wantsPage(scope) || !isPage(head)) return undefined;
    added = true;
    // They are of other bytes.
    for (const name of ["etag", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"])
      head.remove(name);
    // A page that a browser has kept would have the version of then, and be loaded again and again.
    head.remove("last-modified");
    head.set("Cache-Control", "no-store");
    const nonce = nonceOf(head);
    const tag = `<script src="${source}" async${nonce === undefined ? "" : ` nonce="${nonce}"`}></script>`;
    return { kind: "encode", encoder: insertion(Buffer.from(tag)) };
  };
}

/** Fragments that a script asks for are no pages. */
function wantsPage({ incoming: { method, headers } }: RequestScope): boolean {
  const destination = headers["sec-fetch-dest"];
  if (destination !== undefined && !["document", "iframe", "frame"].includes(String(destination))) return false;
  return method !== "HEAD" && headers["x-requested-with"] === undefined;
}

function isPage(head: HeadDraft): boolean {
  const { status } = head;
  if (status < 200 || [204, 205, 206, 304].includes(status)) return false;
  // With bytes that are not ASCII's the tag would be none.
  const type = head.get("content-type") ?? "";
  if (!/^text\/html\s*(?:;|$)/i.test(type) || /charset="?utf-?(?:16|32)/i.test(type)) return false;
  if (/^attachment/i.test(head.get("content-disposition") ?? "")) return false;
  return !["content-encoding", "content-range", "x-sendfile"].some((name) => head.has(name));
}

/** The number with which the page's policy lets scripts run, if it has one. */
function nonceOf({ headers }: HeadDraft): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]!.toLowerCase() !== "content-security-policy") continue;
    const directives = headers[at + 1]!.split(/[;,]/).map((text) => text.trim().toLowerCase().split(/\s+/)[0]);
    const written = headers[at + 1]!.split(/[;,]/);
    for (const name of ["script-src-elem", "script-src", "default-src"]) {
      const policy = written[directives.indexOf(name)];
      const nonce = policy && /'nonce-([\w+/=-]+)'/i.exec(policy)?.[1];
      if (nonce) return nonce;
    }
  }
  return undefined;
}

/** Puts text before the end tags if these are the last of a page, and after everything otherwise. */
export function insertion(text: Buffer): BodyEncoder {
  const finish = (tail: Uint8Array): Buffer => {
    const at =
      tail.length - (/<\/body\s*>\s*(?:<\/html\s*>\s*)?$|<\/html\s*>\s*$/i.exec(ending(tail))?.[0].length ?? 0);
    return Buffer.concat([tail.subarray(0, at), text, tail.subarray(at)]);
  };
  return {
    whole: (body, done) => done(null, finish(body)),
    stream: () => {
      let tail: Uint8Array = new Uint8Array(0);
      const stream = new Transform({
        transform: (chunk: Uint8Array, _encoding, done) => {
          const all = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
          const at = all.length - HELD.exec(ending(all))![0].length;
          tail = Uint8Array.from(all.subarray(at));
          if (at > 0) done(null, all.subarray(0, at));
          else done();
        },
        flush: (done) => done(null, finish(tail)),
      });
      // What is held back is no text that anyone waits for.
      return Object.assign(stream, { flush: () => {} });
    },
  };
}

/** What may be, or become, the end tags of a page. */
const HELD = /(?:<\/body\s*>\s*)?(?:<\/html\s*>\s*)?(?:<\/?[a-z]{0,4}\s*)?$/i;
const ENDING_BYTES = 256;

function ending(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(-ENDING_BYTES)).toString("latin1");
}
