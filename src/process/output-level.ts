export type OutputLevel = "debug" | "info" | "warn" | "error";

/** Words for how bad a thing is, as PHP, PSR-3 and Monolog have them. */
const LEVEL_OF_WORD: Readonly<Record<string, OutputLevel>> = {
  // PHP's own.
  "fatal error": "error",
  "parse error": "error",
  "recoverable fatal error": "error",
  "compile error": "error",
  "core error": "error",
  warning: "warn",
  "core warning": "warn",
  "compile warning": "warn",
  notice: "warn",
  deprecated: "info",
  "strict standards": "info",
  // Of PSR-3, beyond these.
  emergency: "error",
  alert: "error",
  critical: "error",
  error: "error",
  info: "info",
  debug: "debug",
};

/** How lines begin that say how bad they are. The first group is a word of the table above, in any case. */
const SAYS_LEVEL: readonly RegExp[] = [
  // "PHP Fatal error:  Uncaught ...", "Warning: ... in ... on line 3", with a time before it where PHP writes to a file.
  /^(?:\[[^\]]{1,64}\] )?(?:PHP )?((?:Recoverable fatal|Fatal|Parse|Core|Compile) error|(?:Core |Compile )?Warning|Notice|Deprecated|Strict Standards): /i,
  // Monolog and Laravel: "[2026-01-31 12:00:00] production.ERROR: ...".
  /^(?:\[[^\]]{1,64}\] )?[\w.-]{1,64}\.(EMERGENCY|ALERT|CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG): /,
  // Monolog as JSON.
  /^\{.{0,16384}?"level_name":\s?"(EMERGENCY|ALERT|CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG)"/,
  // Symfony's logger: "2026-01-31T12:00:00+00:00 [critical] Uncaught ...".
  /^(?:[\dT:+.Z-]{10,40} )?\[(emergency|alert|critical|error|warning|notice|info|debug)\] /i,
];

/** Monolog's "notice" is something normal, PHP's is a mistake in the program. */
const NOTICE_OF_LOGGERS = /NOTICE|\[notice\]/;

/** Exceptions as text: what nobody caught, and what a program writes about one. */
const IS_EXCEPTION: readonly RegExp[] = [
  /^(?:PHP )?Uncaught /,
  // "RuntimeException: it broke in /app/a.php:3".
  /^[\w\\]{0,300}(?:Exception|Error)(?:\(\d+\))?: /,
];

/** How bad a line is, if it says so. */
export function levelOf(line: string): OutputLevel | undefined {
  for (const pattern of SAYS_LEVEL) {
    const word = pattern.exec(line)?.[1];
    if (word === undefined) continue;
    return NOTICE_OF_LOGGERS.test(word) && pattern !== SAYS_LEVEL[0] ? "info" : LEVEL_OF_WORD[word.toLowerCase()];
  }
  return IS_EXCEPTION.some((pattern) => pattern.test(line)) ? "error" : undefined;
}

/** Lines that belong to the one before them: parts of stack traces and of dumped values. */
const CONTINUES: readonly RegExp[] = [
  /^\s+\S/,
  /^#\d+ /,
  /^Stack trace:/,
  /^\[(?:stacktrace|previous exception)\]/,
  /^Next [\w\\]+: /,
  /^(?:thrown|Thrown) in /,
  /^["')}\]]{1,4}[,;]?\s*(?:[{[][}\]]\s*)*$/,
];

/** Whether a line goes on with what the line before began. */
export function continues(line: string): boolean {
  return CONTINUES.some((pattern) => pattern.test(line));
}

/** Whether a line tells of an exception, whose text may have several lines and be followed by a stack trace. */
export function beginsException(line: string): boolean {
  return /\bUncaught\b|"exception":/.test(line) || IS_EXCEPTION.some((pattern) => pattern.test(line));
}
