import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Client, ServiceImplementation, TsProtoServiceDefinition } from "nice-grpc";

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

function messageCodec<Desc extends DescMessage>(descriptor: Desc): MessageCodec<Desc> {
  return {
    encode: (message) => ({ finish: () => toBinary(descriptor, message) }),
    decode: (bytes) => fromBinary(descriptor, bytes),
    fromPartial: (init) => (isMessage(init, descriptor) ? (init as MessageShape<Desc>) : create(descriptor, init)),
  };
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
      requestType: messageCodec(method.input),
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
