// nginx, where it is installed: with a `server` block of its own, in a directory of its own.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const STOP_WITHIN_MS = 5_000;

/** The path of nginx, or undefined. */
export function nginxProgram() {
  return programIn(/^nginx$/);
}

/** Starts nginx with what `locations` says, on a port of the loopback address. */
export function startNginx(directory, port, locations) {
  const root = process.getuid?.() === 0;
  writeFileSync(
    join(directory, "nginx.conf"),
    `${root ? "user root;\n" : ""}worker_processes auto;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=1000;
  keepalive_requests 1000000;
  types { text/html html; text/css css; application/javascript js; image/png png; }
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port};
${locations}
  }
}
`,
  );
  return startProgram(nginxProgram(), ["-p", directory, "-c", join(directory, "nginx.conf"), "-g", "daemon off;"]);
}

/** Distributions put servers where the PATH of ordinary users does not lead. */
export function programIn(pattern) {
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"]) {
    const name =
      existsSync(directory) &&
      readdirSync(directory)
        .filter((one) => pattern.test(one))
        .sort()
        .at(-1);
    if (name && spawnSync(join(directory, name), ["-v"]).status === 0) return join(directory, name);
  }
  return undefined;
}

/** A server in the foreground whose last words are kept. */
export function startProgram(file, args) {
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (chunk) => {
    output = (output + chunk).slice(-4096);
  });
  const exited = new Promise((resolve) => {
    child.once("error", resolve);
    child.once("exit", resolve);
  });
  return { file, child, exited, output: () => output };
}

/** Rejects when the server ends. */
export async function failedStart({ file, exited, output }) {
  await exited;
  throw new Error(`${file} did not start:\n${output()}`);
}

export async function endProgram({ child, exited }) {
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await exited;
  clearTimeout(timer);
}
