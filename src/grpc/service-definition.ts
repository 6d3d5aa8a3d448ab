import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Client, ServiceImplementation, TsProtoServiceDefinition } from "nice-grpc";
import { RrError } from "../errors.ts";
import { hasMoreFields } from "./field-count.ts";

/**
 * nice-grpc knows services in the shape that ts-proto generates; protobuf-es generates descriptors. This file gives a
 * descriptor the other shape, in types and at run time. The ts-proto shape is used rather than nice-grpc's own because
 * only there idempotency survives (retries depend on it) and received messages are not copied.
 */
export interface MessageCodec<Desc extends DescMessage> {
  encode(message: MessageShape<Desc>): { finish(): Uint8Array };
  decode(bytes: Uint8Array): MessageShape<Desc>;
  fromPartial(init: MessageInitShape<Desc>): MessageShape<Desc>;
}

type MethodDefinition<Method> = Method extends {
  methodKind: infer Kind;
  input: infer Input extends DescMessage;
  output: infer Output extends DescMessage;
}
  ? {
      name: string;
      requestType: MessageCodec<Input>;
      requestStream: Kind extends "client_streaming" | "bidi_streaming" ? true : false;
      responseType: MessageCodec<Output>;
      responseStream: Kind extends "server_streaming" | "bidi_streaming" ? true : false;
      options: { idempotencyLevel?: "IDEMPOTENT" | "NO_SIDE_EFFECTS" };
    }
  : never;

export interface ServiceDefinition<Methods extends GenServiceMethods> {
  name: string;
  fullName: string;
  methods: { [Name in keyof Methods]: MethodDefinition<Methods[Name]> };
}

/** What a receiver does not know is not kept: it would cost memory, and nobody reads it. */
const READ = { readUnknownFields: false };

function messageCodec<Desc extends DescMessage>(descriptor: Desc): MessageCodec<Desc> {
  return {
    encode: (message) => ({ finish: () => toBinary(descriptor, message) }),
    decode: (bytes) => fromBinary(descriptor, bytes, READ),
    fromPartial: (init) => (isMessage(init, descriptor) ? (init as MessageShape<Desc>) : create(descriptor, init)),
  };
}

/** Fields of a request, those inside of its fields included. */
const FIELDS_MAX = 100_000;
/** Requests of methods that carry no payloads. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;
/** These do: control.max_message_size is their limit. */
const PAYLOAD_METHODS: ReadonlySet<string> = new Set(["Dispatch", "DispatchStream"]);

/** Stands for a request that would cost too much to decode. gRPC has no other way to say why. */
export class UndecodedRequest {
  readonly error: RrError;

  constructor(message: string, limit: number) {
    this.error = new RrError("PAYLOAD_TOO_LARGE", message, { metadata: { limit } });
  }
}

/** @throws RrError PAYLOAD_TOO_LARGE */
export function requireDecoded(request: unknown): void {
  if (request instanceof UndecodedRequest) throw request.error;
}

/** A codec for what others send: some of that is an `UndecodedRequest`. */
function requestCodec<Desc extends DescMessage>(descriptor: Desc, bytesMax: number): MessageCodec<Desc> {
  const codec = messageCodec(descriptor);
  return {
    ...codec,
    decode: (bytes) => {
      const refused = refusal(descriptor, bytes, bytesMax);
      return refused ? (refused as never) : codec.decode(bytes);
    },
  };
}

function refusal(descriptor: DescMessage, bytes: Uint8Array, bytesMax: number): UndecodedRequest | undefined {
  if (bytes.length > bytesMax) {
    const message = `the request has ${bytes.length} bytes, and this method takes ${bytesMax} at most`;
    return new UndecodedRequest(message, bytesMax);
  }
  if (!hasMoreFields(descriptor, bytes, FIELDS_MAX)) return undefined;
  return new UndecodedRequest(`the request has more than the ${FIELDS_MAX} fields that a message may have`, FIELDS_MAX);
}

function idempotencyOptions(level: IdempotencyLevel): { idempotencyLevel?: "IDEMPOTENT" | "NO_SIDE_EFFECTS" } {
  if (level === IdempotencyLevel.NO_SIDE_EFFECTS) return { idempotencyLevel: "NO_SIDE_EFFECTS" };
  return level === IdempotencyLevel.IDEMPOTENT ? { idempotencyLevel: "IDEMPOTENT" } : {};
}

/** A generated service descriptor as the definition that nice-grpc's servers and clients take. */
export function serviceDefinition<Methods extends GenServiceMethods>(
  generated: GenService<Methods>,
): ServiceDefinition<Methods> {
  const service = generated as unknown as DescService;
  const methods: TsProtoServiceDefinition["methods"] = {};
  for (const method of service.methods)
    methods[method.localName] = {
      name: method.name,
      requestType: requestCodec(
        method.input,
        PAYLOAD_METHODS.has(method.name) ? Number.POSITIVE_INFINITY : REQUEST_BYTES_MAX,
      ),
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseType: messageCodec(method.output),
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      options: idempotencyOptions(method.idempotency),
    };
  return { name: service.name, fullName: service.typeName, methods } as ServiceDefinition<Methods>;
}

/** What a server implements of a generated service. */
export type Implementation<Service> =
  Service extends GenService<infer Methods> ? ServiceImplementation<ServiceDefinition<Methods>> : never;

/** What a client of a generated service offers. */
export type ClientOf<Service> = Service extends GenService<infer Methods> ? Client<ServiceDefinition<Methods>> : never;
