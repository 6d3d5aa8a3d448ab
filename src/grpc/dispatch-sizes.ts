import type { CallCommand, CallEvent } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { ErrorDetail } from "../../gen/roadrunner/errors/v1/error_detail_pb.ts";

/**
 * What entries of a dispatch stream weigh in a message: never less than they do, and cheap to tell. Both ends cut their
 * batches by it.
 */

/** Tags, lengths and numbers of one entry. */
export const ENTRY_BYTES = 64;
/** A character of a string takes so many bytes at most; surrogate pairs take four for two. */
const CHARACTER_BYTES = 3;
/** Initial metadata of a dispatch stream: the bytes that the core takes in one message. */
export const MESSAGE_BYTES_KEY = "rr-message-bytes-max";
/** What clients take in one message unless they were told otherwise. */
export const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Pieces of bodies and files. */
const PIECE_BYTES = 256 * 1024;

/** How what is said on a stream is cut. */
export interface PieceLimits {
  /** A message with one entry and nothing else may weigh so much. */
  readonly messageBytes: number;
  /** What one entry may weigh besides its head. */
  readonly payloadBytes: number;
  /** Pieces of what can be cut. */
  readonly pieceBytes: number;
}

/** @param messageBytes the limit of one message, at least a few kilobytes */
export function pieceLimits(messageBytes: number): PieceLimits {
  const payloadBytes = messageBytes - 16 * ENTRY_BYTES;
  return { messageBytes, payloadBytes, pieceBytes: Math.min(PIECE_BYTES, Math.floor(payloadBytes / 2)) };
}

export function commandBytes({ command }: Pick<CallCommand, "command">): number {
  switch (command.case) {
    case "open": {
      const { context, body, pool, requestId } = command.value;
      return ENTRY_BYTES + context.length + body.length + CHARACTER_BYTES * (pool.length + requestId.length);
    }
    case "body":
      return ENTRY_BYTES + command.value.data.length + command.value.context.length;
    case "file":
      return ENTRY_BYTES + command.value.data.length;
    case "responses":
      return ENTRY_BYTES + CHARACTER_BYTES * command.value.pool.length;
    default:
      return ENTRY_BYTES;
  }
}

export function eventBytes({ event }: Pick<CallEvent, "event">): number {
  switch (event.case) {
    case "reply":
      return ENTRY_BYTES + event.value.context.length + event.value.body.length;
    case "error":
      return errorBytes(event.value);
    case "stored":
      return ENTRY_BYTES + CHARACTER_BYTES * event.value.path.length;
    default:
      return ENTRY_BYTES;
  }
}

function errorBytes({ message, metadata }: ErrorDetail): number {
  let characters = message.length;
  let entries = 1;
  for (const [key, value] of Object.entries(metadata)) {
    characters += key.length + value.length;
    entries++;
  }
  return ENTRY_BYTES * entries + CHARACTER_BYTES * characters;
}
