import { formatDuration } from "./output/format.ts";
import type { Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const SHOWN_AFTER_MS = 1000;
const FRAME_MS = 100;

/**
 * Runs the work and, if it takes longer than a second and messages go to a terminal, shows that it goes on. The line is
 * wiped before this returns.
 */
export async function withProgress<Result>(
  messages: Terminal["messages"],
  label: string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!messages.isTerminal) return work();
  const startMs = performance.now();
  let frame = 0;
  let shown = false;
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs < SHOWN_AFTER_MS) return;
    shown = true;
    const spinner = messages.paint("cyan", FRAMES[frame++ % FRAMES.length]!);
    messages.write(`\r\x1b[K${spinner} ${label} ${messages.paint("dim", formatDuration(elapsedMs))}`);
  }, FRAME_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (shown) messages.write("\r\x1b[K");
  }
}
