/** What the head of a part says of it. Texts are bytes, one per character. */
export interface PartHead {
  /** Undefined: it has none, or is no form data. */
  readonly name: string | undefined;
  readonly isFormData: boolean;
  /** Undefined: the part is a field; "": an input for files that was left empty, or a field. */
  readonly fileName: string | undefined;
  /** "": the client did not say. Without parameters. */
  readonly mime: string;
  /** Of the type's parameters, in lower case. */
  readonly charset: string | undefined;
}

const PLAIN_PART: PartHead = { name: undefined, isFormData: false, fileName: undefined, mime: "", charset: undefined };

/**
 * Reads the head of a part.
 *
 * @param text its lines, one byte per character, without the empty one at the end
 * @returns undefined if a line ends in a bare CR or LF: two readers would see two things
 */
export function partHead(text: string): PartHead | undefined {
  const unfolded = text.replace(/\r\n[ \t]+/g, " ");
  let disposition: string | undefined;
  let type: string | undefined;
  for (const line of unfolded.split("\r\n")) {
    if (/[\r\n]/.test(line)) return undefined;
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (name === "content-disposition") disposition ??= line.slice(colon + 1).trim();
    else if (name === "content-type") type ??= line.slice(colon + 1).trim();
  }
  const mime = type === undefined ? "" : typeOf(type);
  const charset = type === undefined ? undefined : parametersOf(type).get("charset")?.toLowerCase();
  if (disposition === undefined || typeOf(disposition).toLowerCase() !== "form-data")
    return { ...PLAIN_PART, mime, charset };
  const parameters = parametersOf(disposition);
  const fileName = extended(parameters.get("filename*")) ?? parameters.get("filename");
  return {
    name: parameters.get("name"),
    isFormData: true,
    fileName: fileName === undefined ? undefined : withoutFolders(fileName),
    mime,
    charset,
  };
}

/** The boundary of a form; undefined if its content type names none that can be. */
export function boundaryOf(contentType: string): string | undefined {
  const boundary = parametersOf(contentType).get("boundary");
  return boundary === undefined || boundary === "" || boundary.length > BOUNDARY_BYTES_MAX ? undefined : boundary;
}

/** The standard says 70. */
const BOUNDARY_BYTES_MAX = 250;

function typeOf(value: string): string {
  const semicolon = value.indexOf(";");
  return (semicolon < 0 ? value : value.slice(0, semicolon)).trim();
}

/** Names in lower case. The last one of a name counts, as in PHP. */
function parametersOf(value: string): Map<string, string> {
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = typeOfEnd(value);
  for (;;) {
    const match = PARAMETER.exec(value);
    if (match === null) return parameters;
    const [, name, quoted, plain] = match;
    // Browsers send backslashes as they are, "C:\x" among them: only those before a quote or another one escape.
    const text = quoted === undefined ? plain!.trim() : quoted.replace(/\\(["\\])/g, "$1");
    parameters.set(name!.toLowerCase(), text);
  }
}

function typeOfEnd(value: string): number {
  const semicolon = value.indexOf(";");
  return semicolon < 0 ? value.length : semicolon;
}

const PARAMETER = /;[ \t]*([^=;\s]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"[ \t]*(?=;|$)|([^;]*))/gy;

/** RFC 8187: UTF-8''caf%C3%A9. Undefined if it is none. */
function extended(value: string | undefined): string | undefined {
  const match = /^utf-8'[^']*'(.*)$/i.exec(value ?? "");
  if (!match) return undefined;
  try {
    return Buffer.from(decodeURIComponent(match[1]!), "utf8").toString("latin1");
  } catch {
    return undefined;
  }
}

/** Some clients send paths. */
function withoutFolders(fileName: string): string {
  return fileName.slice(Math.max(fileName.lastIndexOf("/"), fileName.lastIndexOf("\\")) + 1);
}
