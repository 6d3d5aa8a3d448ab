import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type DispatchResponse, DispatchResponseSchema } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { RrError, systemErrorCode } from "../../src/errors.ts";
import type { Command, Invocation } from "../invocation.ts";
import { messageData, spanMs, stateName } from "../message-data.ts";
import { formatDuration, printable } from "../output/format.ts";

interface DispatchOptions {
  body?: string;
  bodyFile?: string;
  context?: string;
  contextFile?: string;
  codec: string;
  idempotent?: boolean;
  requestId?: string;
  verbose?: boolean;
}

const CODECS: Record<string, Codec> = {
  raw: Codec.RAW,
  json: Codec.JSON,
  proto: Codec.PROTO,
  msgpack: Codec.MSGPACK,
  gob: Codec.GOB,
};

export const run: Command<DispatchOptions> = async (invocation) => {
  const { core, words, options, terminal } = invocation;
  const payload = {
    context: await bytes(invocation, "context", options.context, options.contextFile),
    body: await bytes(invocation, "body", options.body, options.bodyFile),
    codec: CODECS[options.codec]!,
  };
  if (payload.context.length === 0 && payload.body.length === 0)
    throw new RrError("INVALID_REQUEST", "nothing to dispatch: give --body, --body-file or --context");
  const response = await core.ask("waiting for the reply", (client, signal) =>
    client.dispatch.dispatch(
      {
        pool: words[0] ?? "",
        payload,
        idempotent: options.idempotent ?? false,
        requestId: options.requestId ?? "",
      },
      { signal },
    ),
  );
  if (options.verbose) terminal.messages.write(replyHead(response));
  return {
    data: messageData(DispatchResponseSchema, response),
    text: () => response.payload?.body ?? "",
  };
};

async function bytes(
  { globals, terminal }: Invocation,
  what: "body" | "context",
  text: string | undefined,
  file: string | undefined,
): Promise<Uint8Array> {
  if (text !== undefined && file !== undefined)
    throw new RrError("INVALID_REQUEST", `--${what} and --${what}-file are both given: choose one`);
  if (file === "-") return terminal.readInput();
  if (file === undefined) return Buffer.from(text ?? "");
  try {
    return await readFile(resolve(globals.cwd, file));
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? String(thrown);
    throw new RrError("INVALID_REQUEST", `--${what}-file ${file}: cannot be read (${code})`, { cause: thrown });
  }
}

/** Everything but the body, for stderr. */
function replyHead({ payload, pid, queueTime, execTime }: DispatchResponse): string {
  const times = `waited ${formatDuration(spanMs(queueTime))}, ran ${formatDuration(spanMs(execTime))}`;
  const size = `${payload?.body.length ?? 0} bytes`;
  const codec = stateName(Codec, payload?.codec ?? Codec.UNSPECIFIED);
  const head = `worker ${pid}, ${times}, ${size}, context in ${codec === "unspecified" ? "no codec" : codec}\n`;
  if (payload === undefined || payload.context.length === 0) return head;
  const context =
    payload.codec === Codec.PROTO
      ? Buffer.from(payload.context).toString("base64")
      : printable(Buffer.from(payload.context).toString());
  return `${head}context: ${context}\n`;
}
