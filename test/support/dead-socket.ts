import { spawn } from "node:child_process";
import { once } from "node:events";

/** Leaves a socket at a path on which nobody listens any more, as a server does that was killed. */
export async function leaveDeadSocket(path: string): Promise<void> {
  const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script, path], { stdio: "ignore" }), "exit");
}
