import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { CallHandle, CallRequest, DispatchClient } from "../../src/client/dispatch-client.ts";
import type { RrError } from "../../src/errors.ts";

/** A call of a dispatch client and what came of it. */
export interface StreamedCall {
  readonly handle: CallHandle;
  readonly parts: string[];
  readonly ended: Promise<string>;
}

/** Opens a call to the pool "echo" that does what the body says. */
export function open(dispatch: DispatchClient, body: string, overrides: Partial<CallRequest> = {}): StreamedCall {
  const parts: string[] = [];
  let handle: CallHandle;
  const ended = new Promise<string>((resolve, reject) => {
    handle = dispatch.open(
      {
        pool: "echo",
        context: new Uint8Array(0),
        body: Buffer.from(body),
        codec: Codec.UNSPECIFIED,
        moreBody: false,
        idempotent: false,
        requestId: "",
        windowBytes: 0,
        timeoutMs: 0,
        ...overrides,
      },
      {
        reply: (piece) => {
          parts.push(Buffer.from(piece.body).toString("latin1"));
          if (!piece.more) resolve(parts.join(""));
        },
        failed: reject,
      },
    );
  });
  ended.catch(() => {});
  return { handle: handle!, parts, ended };
}

/** Why the call failed; rejects if it did not. */
export const failure = ({ ended }: StreamedCall): Promise<RrError> =>
  ended.then(
    (answer) => {
      throw new Error(`expected the call to fail, but it was answered with "${answer}"`);
    },
    (error: RrError) => error,
  );
