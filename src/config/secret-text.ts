/** What stands in the place of a secret. */
export const MASK = "***";

/** Parts of names, between "_", "-" and changes of case, that tell of a secret behind them. */
const SECRET_WORDS =
  /(^|[_\-.\s])(pass|passwd|password|passphrase|pwd|secrets?|tokens?|credentials?|creds|pat|dsn|keys?|apikey|salt|signature|auth|authorization|cookies?|private|bearer|jwt)($|[_\-.\s\d])/i;
const SECRET_PARTS =
  /passw(or)?d|passphrase|secret|token|credential|(api|access)[_-]?key|private[_-]?key|authorization/i;

/** "DB_PASSWORD", "apiKey", "X-Api-Key", "Authorization", "DATABASE_DSN": by its name it is for nobody's eyes. */
export function looksSecret(name: string): boolean {
  const words = name.replace(/([a-z\d])([A-Z])/g, "$1_$2");
  return SECRET_WORDS.test(words) || SECRET_PARTS.test(name);
}

/** The user's part is kept: "redis://user:***@host". A password may hold a slash, or an "@" that was not encoded. */
const URL_PASSWORD = /\b([a-z][a-z\d+.-]*:\/\/[^\s:@/"']*):([^\s"']+)@/gi;
/** "token=x" of a query, an environment or an option of PHP. */
const ASSIGNMENT = /(?<=^|[\s?&;,"'(]|[\s?&;,"'(]--?)([A-Za-z][\w.-]*)=/g;
/** "--password=x", "--api-key x" of a command line: there a value goes on to the next space, whatever it has in it. */
const OPTION = /(?<=^|[\s"'(])--?([A-Za-z][\w.-]*)(?:[=:]|\s+(?!-))/g;
/** As shells quote; what is cut short goes to its end. */
const QUOTED = /"(?:[^"\\]|\\.)*"?|'[^']*'?/.source;
const VALUE_OF_QUERY = new RegExp(`${QUOTED}|[^\\s&;,"']+`, "y");
const VALUE_OF_OPTION = new RegExp(`${QUOTED}|[^\\s"']+`, "y");
/** "Authorization: Bearer x", as programs are given headers. */
const CREDENTIALS = /(\bauthorization\s*:\s*)((?:bearer|basic|token)\s+)?([^\s"']+)/gi;

/** A text without the passwords that can be told by their form. */
export function maskText(text: string): string {
  let masked = text;
  if (masked.includes("://")) masked = masked.replace(URL_PASSWORD, (_all, user) => `${user}:${MASK}@`);
  if (masked.includes("-")) masked = maskValues(masked, OPTION, VALUE_OF_OPTION);
  if (masked.includes("=")) masked = maskValues(masked, ASSIGNMENT, VALUE_OF_QUERY);
  if (masked.includes(":"))
    masked = masked.replace(CREDENTIALS, (_all, name, scheme = "") => `${name}${scheme}${MASK}`);
  return masked;
}

/** Masks what follows a name that looks like a secret's. Other values are looked into: a whole command may be one. */
function maskValues(text: string, name: RegExp, value: RegExp): string {
  let masked = "";
  let done = 0;
  for (const match of text.matchAll(name)) {
    value.lastIndex = match.index + match[0].length;
    if (match.index < done || !looksSecret(match[1]!)) continue;
    const start = value.lastIndex;
    const found = value.exec(text);
    if (!found) continue;
    masked += text.slice(done, start) + MASK;
    done = start + found[0].length;
  }
  return masked + text.slice(done);
}

/** A text that may hold secrets to one that does not. */
export type Redact = (text: string) => string;

/** Shorter ones stand in too many texts that are no secrets. */
const SECRET_LENGTH_MIN = 6;
const ORDINARY =
  /^(\d{1,5}|true|false|null|none|default|password|secret|localhost|disabled|enabled|production|development)$/i;

/** Replaces secrets that are known, wherever they stand, as they are and as JSON writes them. */
export function createRedact(secrets: Iterable<string>): Redact {
  const all = new Set<string>();
  // Of a key in PEM form each line is one: lines are what is printed.
  for (const secret of secrets)
    for (const part of [secret, ...secret.split(/\r?\n/)]) {
      const text = part.trim();
      if (text.length < SECRET_LENGTH_MIN || ORDINARY.test(text) || /^-----[A-Z ]+-----$/.test(text)) continue;
      all.add(text);
      all.add(JSON.stringify(text).slice(1, -1));
    }
  if (all.size === 0) return (text) => text;
  // The longest first: one may be a part of another.
  const longestFirst = [...all].sort((one, other) => other.length - one.length);
  const pattern = new RegExp(longestFirst.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g");
  return (text) => text.replace(pattern, MASK);
}

/** Passwords in the URLs of a text. */
export function urlPasswords(text: string): string[] {
  return [...text.matchAll(URL_PASSWORD)].map(([, , password]) => password!);
}
