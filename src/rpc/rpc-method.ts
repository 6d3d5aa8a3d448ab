import { FLAG } from "../goridge/frame.ts";

/** How a method reads and writes the messages of RoadRunner's plugins. */
export interface ProtobufForm {
  read(bytes: Uint8Array): unknown;
  write(result: unknown): Uint8Array;
}

export interface RpcMethod {
  call(argument: unknown): unknown | Promise<unknown>;
  /** Undefined: it is called with JSON only. */
  readonly protobuf?: ProtobufForm;
}

/** By name: "service.Method". A function alone takes and gives JSON. */
export type RpcMethods = Readonly<Record<string, RpcMethod | RpcMethod["call"]>>;

const CODEC_NAMES: readonly (readonly [number, string])[] = [
  [FLAG.PROTO, "protobuf"],
  [FLAG.JSON, "JSON"],
  [FLAG.RAW, "RAW"],
  [FLAG.MSGPACK, "MessagePack"],
  [FLAG.GOB, "gob"],
];

/** The codec bits of a frame. */
export const CODECS = CODEC_NAMES.reduce((all, [flag]) => all | flag, 0);

/** Finds methods and calls them, whatever their arguments are written in. */
export class RpcMethodTable {
  readonly #methods: RpcMethods;
  readonly #services: ReadonlySet<string>;

  constructor(methods: RpcMethods) {
    this.#methods = methods;
    this.#services = new Set(Object.keys(methods).map((name) => name.slice(0, name.indexOf("."))));
  }

  /** The body of the answer. Throws the text that PHP clients look for. */
  async call(name: string, flags: number, body: Buffer): Promise<Uint8Array> {
    const method = this.#find(name);
    // Several bits may be set; receivers of this family look in this order.
    const [codec = 0, codecName = "no codec"] = CODEC_NAMES.find(([flag]) => flags & flag) ?? [];
    if (codec === FLAG.PROTO && method.protobuf)
      return method.protobuf.write(await method.call(method.protobuf.read(body)));
    if (codec !== FLAG.JSON && codec !== FLAG.RAW)
      throw new Error(`rpc: ${name} takes ${method.protobuf ? "JSON or protobuf" : "JSON"}, it came with ${codecName}`);
    const result = await method.call(body.length > 0 ? parseArgument(body.toString()) : undefined);
    return Buffer.from(JSON.stringify(result ?? null));
  }

  /** Before anything else is looked at: what is not there is not there in any codec. */
  #find(name: string): RpcMethod {
    const found = Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined;
    if (found) return typeof found === "function" ? { call: found } : found;
    if (!name.includes(".")) throw new Error(`rpc: service/method request ill-formed: ${name}`);
    const what = this.#services.has(name.slice(0, name.indexOf("."))) ? "method" : "service";
    throw new Error(`rpc: can't find ${what} ${name}`);
  }
}

function parseArgument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
