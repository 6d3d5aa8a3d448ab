/** Encoded forms of bodies that are sent many times, such as files in memory: they are made once. */
const encodedForms = new WeakMap<Uint8Array, Map<string, Uint8Array>>();

/** The body will be sent again as it is. */
export function markReusable(body: Uint8Array): void {
  encodedForms.set(body, new Map());
}

/** Encoded forms of a body by name of the encoding; undefined if it is sent only once. */
export function formsOf(body: Uint8Array): Map<string, Uint8Array> | undefined {
  return encodedForms.get(body);
}
