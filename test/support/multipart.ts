/** Multipart forms, written by hand: whatever a client may send. */

export const BOUNDARY = "test-boundary";
export const MULTIPART = `multipart/form-data; boundary=${BOUNDARY}`;

export interface Part {
  name: string;
  /** "": an input without a file, as browsers send it. */
  fileName?: string;
  type?: string;
  content: string | Buffer;
}

export function multipart(...parts: Part[]): Buffer {
  return Buffer.concat([...parts.flatMap(partPieces), `--${BOUNDARY}--\r\n`].map((piece) => Buffer.from(piece)));
}

function partPieces({ name, fileName, type, content }: Part): (string | Buffer)[] {
  return [
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"`,
    fileName === undefined ? "" : `; filename="${fileName}"`,
    type === undefined ? "" : `\r\nContent-Type: ${type}`,
    "\r\n\r\n",
    content,
    "\r\n",
  ];
}
