/** Which files are taken, by the extension of the name that the client gives them. */
export interface ExtensionRules {
  /** Lower case, with their dot. */
  readonly forbid: readonly string[];
  /** Empty: all that are not forbidden. */
  readonly allow: readonly string[];
}

export function isForbidden(fileName: string, { forbid, allow }: ExtensionRules): boolean {
  return extensionsOf(fileName).some(
    (extension) => forbid.includes(extension) || (allow.length > 0 && !allow.includes(extension)),
  );
}

/**
 * All that a file system may take for the extension of this name, in lower case: from the last dot on; dots and blanks at
 * the end do not count, as Windows drops them, and neither does what stands from a colon on, which names a stream of the
 * file there ("x.php::$DATA").
 */
export function extensionsOf(fileName: string): string[] {
  const colon = fileName.indexOf(":");
  const whole = extensionOf(fileName);
  return colon < 0 ? [whole] : [whole, extensionOf(fileName.slice(0, colon))];
}

function extensionOf(fileName: string): string {
  const name = fileName.replace(IGNORED_END, "").toLowerCase();
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot);
}

/** Dots, and blanks of any kind. */
const IGNORED_END = /[.\s\u200b\ufeff]+$/u;

/** Without what no file system shows. Folders the reader of the form has taken off. */
export function withoutControls(fileName: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return fileName.replace(/[\x00-\x1f\x7f]/g, "");
}
