import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ProtobufForm } from "./rpc-method.ts";

const PLUGIN_FIELD = 1;
const CODE_FIELD = 1;

/** RoadRunner's status.v1.Request { string plugin = 1 } and Response { int64 code = 1 }. */
export const statusMessage: ProtobufForm = {
  read: (bytes) => {
    const reader = new BinaryReader(bytes);
    let plugin: string | undefined;
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === PLUGIN_FIELD && wireType === WireType.LengthDelimited) plugin = reader.string();
      else reader.skip(wireType, field);
    }
    return { plugin };
  },
  write: (result) => {
    const { code } = result as { code: number };
    return new BinaryWriter().tag(CODE_FIELD, WireType.Varint).int64(code).finish();
  },
};
