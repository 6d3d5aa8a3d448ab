/** Which files are taken, by the extension of the name that the client gives them. */
export interface ExtensionRules {
  /** Lower case, with their dot. */
  readonly forbid: readonly string[];
  /** Empty: all that are not forbidden. */
  readonly allow: readonly string[];
}

export function isForbidden(fileName: string, { forbid, allow }: ExtensionRules): boolean {
  const extension = extensionOf(fileName);
  if (forbid.includes(extension)) return true;
  return allow.length > 0 && !allow.includes(extension);
}

/** From the last dot on, in lower case. Dots and spaces at the end do not count: Windows drops them. */
export function extensionOf(fileName: string): string {
  const name = fileName.replace(/[. ]+$/, "").toLowerCase();
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot);
}

/** Without what no file system shows. Folders the reader of the form has taken off. */
export function withoutControls(fileName: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return fileName.replace(/[\x00-\x1f\x7f]/g, "");
}
