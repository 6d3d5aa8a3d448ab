import type { CallCommand, OpenCall } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { RrError } from "../errors.ts";
import type { PieceLimits } from "../grpc/dispatch-sizes.ts";

export type Command = CallCommand["command"];

const NO_BYTES = new Uint8Array(0);

/**
 * A command as several that messages can hold, if it is too large for one; else itself alone. Only a context cannot be
 * cut.
 *
 * @throws RrError PAYLOAD_TOO_LARGE: a context does not fit
 */
export function commandPieces(command: Command, limits: PieceLimits): Command[] {
  switch (command.case) {
    case "open":
      return fits(command.value, command.value.body, limits) ? [command] : openPieces(command.value, limits);
    case "body": {
      const { data, last, context } = command.value;
      if (fits(command.value, data, limits)) return [command];
      const pieces = bodyPieces(data, false, limits);
      if (!last) return pieces;
      // The new head comes alone, at the end.
      return [...pieces, bodyPiece(NO_BYTES, true, context)];
    }
    case "file": {
      const { fileId, data, last } = command.value;
      if (data.length <= limits.pieceBytes) return [command];
      return slices(data, limits.pieceBytes).map((piece, at, { length }) => ({
        case: "file",
        value: { $typeName: "roadrunner.dispatch.v1.FileChunk", fileId, data: piece, last: last && at === length - 1 },
      }));
    }
    default:
      return [command];
  }
}

function fits({ context }: { context: Uint8Array }, body: Uint8Array, { payloadBytes, pieceBytes }: PieceLimits) {
  if (context.length > payloadBytes) throw contextTooLarge(context.length, payloadBytes);
  return body.length <= pieceBytes && context.length + body.length <= payloadBytes;
}

function openPieces(open: OpenCall, limits: PieceLimits): Command[] {
  const bodyBytes = Math.max(0, Math.min(limits.pieceBytes, limits.payloadBytes - open.context.length));
  const head: Command = {
    case: "open",
    value: { ...open, body: open.body.subarray(0, bodyBytes), moreBody: true },
  };
  return [head, ...bodyPieces(open.body.subarray(bodyBytes), !open.moreBody, limits)];
}

function bodyPieces(data: Uint8Array, last: boolean, { pieceBytes }: PieceLimits): Command[] {
  return slices(data, pieceBytes).map((piece, at, { length }) => bodyPiece(piece, last && at === length - 1, NO_BYTES));
}

function bodyPiece(data: Uint8Array, last: boolean, context: Uint8Array): Command {
  return { case: "body", value: { $typeName: "roadrunner.dispatch.v1.BodyChunk", data, last, context } };
}

/** At least one, if only an empty one. */
function slices(data: Uint8Array, bytes: number): Uint8Array[] {
  const pieces = [data.subarray(0, bytes)];
  for (let at = bytes; at < data.length; at += bytes) pieces.push(data.subarray(at, at + bytes));
  return pieces;
}

function contextTooLarge(bytes: number, limitBytes: number): RrError {
  const message = `the head of the request has ${bytes} bytes, but a message to the core holds ${limitBytes}: send a smaller one, or raise control.max_message_size of the core`;
  return new RrError("PAYLOAD_TOO_LARGE", message, { metadata: { limit_bytes: limitBytes } });
}
