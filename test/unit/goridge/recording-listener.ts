import type { WorkerMessageListener } from "../../../src/goridge/worker-protocol.ts";

export type Message =
  | { introduced: number }
  | { reply: { context: string; body: string; codec: number; more: boolean; ping: boolean } }
  | { error: string }
  | { stray: string }
  | { violation: string };

/** Keeps what a reader tells; pieces of one reply are joined. */
export function recordingListener(): { listener: WorkerMessageListener; messages: Message[] } {
  const messages: Message[] = [];
  const listener: WorkerMessageListener = {
    introduced: (pid) => messages.push({ introduced: pid }),
    reply: ({ context, body, codec, more, ping }) =>
      messages.push({
        reply: { context: context.toString("latin1"), body: body.toString("latin1"), codec, more, ping },
      }),
    replyContinues: (data) => {
      const last = messages.at(-1);
      if (!last || !("reply" in last)) throw new Error("a reply goes on that did not begin");
      last.reply.body += data.toString("latin1");
    },
    error: (text) => messages.push({ error: text }),
    stray: (bytes) => messages.push({ stray: bytes.toString("latin1") }),
    violation: (problem) => messages.push({ violation: problem }),
  };
  return { listener, messages };
}
