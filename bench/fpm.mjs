// nginx with php-fpm behind it, where both are installed: the same page from the same number of PHP processes.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { firstOk, freePort, processFamily } from "./server.mjs";

const PAGE = "<?php header('Content-Type: text/plain; charset=utf-8'); echo \"Hello World!\\n\";\n";
const STOP_WITHIN_MS = 5_000;

/** What is missing to run the comparison, or undefined. */
export function missingForFpm() {
  const missing = [programIn(/^nginx$/) ? "" : "nginx", programIn(/^php-fpm[\d.]*$/) ? "" : "php-fpm"].filter(Boolean);
  return missing.length > 0 ? missing.join(" and ") : undefined;
}

export async function startFpm(children) {
  const directory = mkdtempSync(join(tmpdir(), "rr-bench-fpm-"));
  const port = await freePort();
  const root = process.getuid?.() === 0;
  mkdirSync(join(directory, "public"));
  writeFileSync(join(directory, "public", "index.php"), PAGE);
  writeFileSync(join(directory, "fpm.conf"), fpmConfiguration(directory, children, root));
  writeFileSync(join(directory, "nginx.conf"), nginxConfiguration(directory, port, root));
  const fpm = start(programIn(/^php-fpm[\d.]*$/), ["-F", "-y", join(directory, "fpm.conf"), ...(root ? ["-R"] : [])]);
  const nginx = start(programIn(/^nginx$/), [
    "-p",
    directory,
    "-c",
    join(directory, "nginx.conf"),
    "-g",
    "daemon off;",
  ]);
  const stop = async () => {
    await Promise.all([fpm, nginx].map(end));
    rmSync(directory, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}/`;
  try {
    await Promise.race([firstOk(url, performance.now()), ...[fpm, nginx].map(failedStart)]);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return {
    url,
    processes: () => [
      ...processFamily(nginx.child.pid, { parent: "nginx", child: "nginx" }),
      ...processFamily(fpm.child.pid, { parent: "php-fpm master", child: "PHP process of fpm" }),
    ],
    stop,
  };
}

/** Distributions put servers where the PATH of ordinary users does not lead. */
function programIn(pattern) {
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

function fpmConfiguration(directory, children, root) {
  return [
    "[global]",
    `error_log = ${directory}/fpm.log`,
    "[bench]",
    ...(root ? ["user = root", "group = root"] : []),
    `listen = ${directory}/fpm.sock`,
    "listen.backlog = 1024",
    "pm = static",
    `pm.max_children = ${children}`,
    "",
  ].join("\n");
}

function nginxConfiguration(directory, port, root) {
  return `${root ? "user root;\n" : ""}worker_processes auto;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port};
    location / {
      fastcgi_pass unix:${directory}/fpm.sock;
      fastcgi_param SCRIPT_FILENAME ${directory}/public/index.php;
      fastcgi_param SCRIPT_NAME /index.php;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param REMOTE_ADDR $remote_addr;
    }
  }
}
`;
}

function start(file, args) {
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

async function failedStart({ file, exited, output }) {
  await exited;
  throw new Error(`${file} did not start:\n${output()}`);
}

async function end({ child, exited }) {
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await exited;
  clearTimeout(timer);
}
