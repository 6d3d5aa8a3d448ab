// nginx with php-fpm behind it, where both are installed: the same page from the same number of PHP processes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endProgram, failedStart, nginxProgram, programIn, startNginx, startProgram } from "./nginx.mjs";
import { firstOk, freePort, processFamily } from "./server.mjs";

const PAGE = "<?php header('Content-Type: text/plain; charset=utf-8'); echo \"Hello World!\\n\";\n";

/** What is missing to run the comparison, or undefined. */
export function missingForFpm() {
  const missing = [nginxProgram() ? "" : "nginx", programIn(/^php-fpm[\d.]*$/) ? "" : "php-fpm"].filter(Boolean);
  return missing.length > 0 ? missing.join(" and ") : undefined;
}

export async function startFpm(children) {
  const directory = mkdtempSync(join(tmpdir(), "rr-bench-fpm-"));
  const port = await freePort();
  const root = process.getuid?.() === 0;
  mkdirSync(join(directory, "public"));
  writeFileSync(join(directory, "public", "index.php"), PAGE);
  writeFileSync(join(directory, "fpm.conf"), fpmConfiguration(directory, children, root));
  const fpm = startProgram(programIn(/^php-fpm[\d.]*$/), [
    "-F",
    "-y",
    join(directory, "fpm.conf"),
    ...(root ? ["-R"] : []),
  ]);
  const nginx = startNginx(directory, port, passToFpm(directory));
  const stop = async () => {
    await Promise.all([fpm, nginx].map(endProgram));
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

function passToFpm(directory) {
  return `    location / {
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
    }`;
}
