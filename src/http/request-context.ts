import { isUtf8 } from "node:buffer";
import { lengthDelimited } from "./header-names.ts";
import { textToBytes } from "./percent.ts";
import type { RequestFields, RequestHeaders } from "./request-fields.ts";

// Both forms are built as one string of bytes and turned into a buffer at the end. With ten headers that takes about
// 3 µs; JSON.stringify of a prepared object takes 5, the generated protobuf code 10, and this runs for every request.

/** The context as JSON: ten keys, always all of them, always in this order; and one of our own where it is needed. */
export function encodeJsonContext(fields: RequestFields): Buffer {
  const json = Buffer.from(
    `{"remoteAddr":${quote(fields.remoteAddress)},"protocol":${quote(fields.protocol)},"method":${quote(fields.method)}` +
      `,"uri":${quote(withoutLineBreaks(fields.uri))},"headers":{${headersJson(fields.headers)}}` +
      `,"cookies":${fields.cookies === undefined ? "{}" : cookiesJson(fields.cookies)}` +
      `,"rawQuery":${quote(fields.rawQuery)},"parsed":${fields.parsed},"uploads":${fields.uploadsJson ?? "null"}` +
      `,"attributes":${fields.attributes === undefined ? "{}" : attributesJson(fields.attributes)}` +
      `${fields.fileInputsJson === undefined ? "" : `,"fileInputs":${fields.fileInputsJson}`}}`,
    "latin1",
  );
  // Bytes that are no UTF-8 would make the whole context unreadable: they become U+FFFD.
  return isUtf8(json) ? json : Buffer.from(json.toString("utf8"), "utf8");
}

function headersJson({ names, values }: RequestHeaders): string {
  let json = "";
  for (let at = 0; at < names.length; at++) {
    const value = values[at]!;
    const list = typeof value === "string" ? quote(value) : value.map(quote).join(",");
    json += `${at === 0 ? "" : ","}${names[at]!.jsonKey}${list}]`;
  }
  return json;
}

function cookiesJson(cookies: Map<string, string>): string {
  let json = "";
  for (const [name, value] of cookies) json += `${json === "" ? "{" : ","}${quote(name)}:${quote(value)}`;
  return json === "" ? "{}" : `${json}}`;
}

function attributesJson(attributes: NonNullable<RequestFields["attributes"]>): string {
  return textToBytes(JSON.stringify(attributes));
}

function quote(bytes: string): string {
  return NEEDS_ESCAPE.test(bytes) ? JSON.stringify(bytes) : `"${bytes}"`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what JSON wants escaped
const NEEDS_ESCAPE = /["\\\0-\x1f]/;

/** The context as roadrunner.http.v1.Request. */
export function encodeProtoContext(fields: RequestFields): Buffer {
  const { cookies, uploadsJson, attributes } = fields;
  let bytes =
    stringField("\x0a", fields.remoteAddress) +
    stringField("\x12", fields.protocol) +
    stringField("\x1a", fields.method) +
    stringField("\x22", withoutLineBreaks(fields.uri)) +
    headersProto(fields.headers);
  if (cookies !== undefined)
    for (const [name, value] of cookies) bytes += mapEntry("\x32", lengthDelimited("\x0a", utf8(name)), value);
  bytes += stringField("\x3a", fields.rawQuery);
  if (fields.parsed) bytes += "\x40\x01";
  if (uploadsJson !== undefined) bytes += lengthDelimited("\x4a", uploadsJson);
  for (const name in attributes)
    bytes += mapEntry("\x52", lengthDelimited("\x0a", textToBytes(name)), attributes[name]!.map(textToBytes));
  if (fields.fileInputsJson !== undefined) bytes += lengthDelimited("\xa2\x06", fields.fileInputsJson);
  return Buffer.from(bytes, "latin1");
}

function headersProto({ names, values }: RequestHeaders): string {
  let bytes = "";
  for (let at = 0; at < names.length; at++) bytes += mapEntry("\x2a", names[at]!.protoKey, values[at]!);
  return bytes;
}

/** An entry of map<string, HeaderValue>. Values are bytes: UTF-8 or not. */
function mapEntry(tag: string, key: string, value: string | readonly string[]): string {
  let list = "";
  if (typeof value === "string") list = lengthDelimited("\x0a", value);
  else for (const item of value) list += lengthDelimited("\x0a", item);
  return lengthDelimited(tag, key + lengthDelimited("\x12", list));
}

/** Empty strings are not on the wire. */
function stringField(tag: string, bytes: string): string {
  return bytes === "" ? "" : lengthDelimited(tag, utf8(bytes));
}

/** Protobuf's strings must be UTF-8, or PHP refuses the whole message. */
function utf8(bytes: string): string {
  if (!HIGH_BYTE.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, "latin1");
  return isUtf8(buffer) ? bytes : textToBytes(buffer.toString("utf8"));
}

const HIGH_BYTE = /[\x80-\xff]/;

function withoutLineBreaks(uri: string): string {
  return LINE_BREAK.test(uri) ? uri.replace(/[\r\n]/g, "") : uri;
}

const LINE_BREAK = /[\r\n]/;
