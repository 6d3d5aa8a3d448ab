import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { ConfigurationSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { Notation, type Setting, setting as settingOption } from "../../gen/roadrunner/config/v1/setting_pb.ts";

/** The descriptor of the configuration is the one place that knows keys, types, bounds and defaults. */
export const CONFIGURATION = ConfigurationSchema;

export function settingOf(field: DescField): Setting | undefined {
  return hasOption(field, settingOption) ? getOption(field, settingOption) : undefined;
}

export function notationOf(field: DescField): Notation {
  return settingOf(field)?.notation ?? Notation.UNSPECIFIED;
}

/** Limits of a value, in its own unit: numbers as they are, times in milliseconds. */
export interface Bounds {
  min?: number;
  max?: number;
  /** Texts that are allowed; all if absent. */
  texts?: readonly string[];
}

export function boundsOf(field: DescField): Bounds {
  if (!hasOption(field, fieldRules)) return {};
  const { type } = getOption(field, fieldRules) as FieldRules;
  switch (type.case) {
    case "uint32":
    case "uint64":
      return {
        ...(type.value.greaterThan.case === "gte" && { min: Number(type.value.greaterThan.value) }),
        ...(type.value.lessThan.case === "lte" && { max: Number(type.value.lessThan.value) }),
      };
    case "duration":
      return {
        ...(type.value.greaterThan.case === "gte" && { min: durationMs(type.value.greaterThan.value as Duration) }),
        ...(type.value.lessThan.case === "lte" && { max: durationMs(type.value.lessThan.value as Duration) }),
      };
    case "string":
      return type.value.in.length > 0 ? { texts: type.value.in } : {};
    default:
      return {};
  }
}

/** The field for a key of the file: its name, or the same in camel case. */
export function fieldOf(message: DescMessage, key: string): DescField | undefined {
  return message.fields.find((field) => field.name === key || field.jsonName === key);
}

export function keysOf(message: DescMessage): string[] {
  return message.fields.map((field) => field.name);
}

/** What RoadRunner knows and this does not do yet, by path. Named in a warning, never an error, never silent. */
const NOT_YET: Readonly<Record<string, readonly string[]>> = {
  "": [
    "amqp",
    "beanstalk",
    "boltdb",
    "centrifuge",
    "fileserver",
    "google-pub-sub",
    "grpc",
    "jobs",
    "kafka",
    "kv",
    "lock",
    "memcached",
    "metrics",
    "nats",
    "nsq",
    "otel",
    "redis",
    "reload",
    "service",
    "sqs",
    "status",
    "tcp",
    "temporal",
    "static",
    "headers",
    "gzip",
  ],
  http: [
    "cache",
    "fcgi",
    "gzip",
    "headers",
    "http2",
    "http3",
    "new_relic",
    "otel",
    "sendfile",
    "ssl",
    "static",
    "trusted_headers",
    "trusted_subnets",
    "uploads",
  ],
  logs: ["file_logger_options", "format", "time_format", "skip_line_ending"],
};

export function isNotYet(path: string, key: string): boolean {
  return NOT_YET[path]?.includes(key) ?? false;
}
