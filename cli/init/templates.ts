/** The files that `rrctl init` writes. */

export function configurationText(command: string, env: Readonly<Record<string, string>>): string {
  const variables = Object.entries(env).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}\n`);
  return `# Configuration of the application server. \`rrctl config validate\` checks it, \`rrctl serve\` runs it.
# Lines that are commented out show the defaults.

version: "3"

# How workers are started.
server:
  command: ${JSON.stringify(command)}
${variables.length === 0 ? "  # Environment of the workers, besides that of the server.\n  # env:\n  #   APP_ENV: production\n" : `  # Environment of the workers, besides that of the server.\n  env:\n${variables.join("")}`}  # How requests reach a worker: pipes, unix://path/of/socket or tcp://127.0.0.1:7000.
  # relay: pipes

http:
  # Port 8080 of this machine alone; 0.0.0.0:8080 lets others in.
  address: 127.0.0.1:8080
  pool:
    # Workers. Default: the number of processors.
    # num_workers: 4
    # A worker is replaced after about this many requests; 0: never.
    # max_jobs: 0
    # Longest wait for a free worker, and for a worker to start.
    # allocate_timeout: 60s
    # Requests that may wait for a worker before the next one is refused with 503; 0: any number.
    # max_queue_size: 10000
    # A fresh worker for each request: changes to the code show at once. For development.
    # debug: false
    supervisor:
      # A request that runs longer is ended, with its worker; 0s: no limit.
      exec_ttl: 60s
      # Megabytes after which a worker is replaced; 0: no limit.
      max_worker_memory: 128
      # Age after which a worker is replaced; 0s: never.
      # ttl: 0s

# Where PHP code reaches the server's services (spiral/goridge and the like).
rpc:
  listen: tcp://127.0.0.1:6001

# rrctl finds the server by this file. Other gRPC clients may need a port: every user of this machine has it then.
# control:
#   listen: tcp://127.0.0.1:6002

logs:
  # development: lines for people; production: JSON.
  mode: development
  level: info
`;
}

interface OwnWorker {
  /** Absolute path of the library's autoloader; undefined: vendor/autoload.php knows it. */
  autoload: string | undefined;
  hasVendor: boolean;
}

function requires({ autoload, hasVendor }: OwnWorker): string {
  const lines: string[] = [];
  if (hasVendor || autoload === undefined) lines.push("require __DIR__ . '/vendor/autoload.php';");
  if (autoload !== undefined)
    lines.push(
      "// Where rrctl is installed. After `composer require rrctl/worker` vendor/autoload.php does it.",
      `require ${phpString(autoload)};`,
    );
  return lines.join("\n");
}

export function plainWorkerText(worker: OwnWorker): string {
  return `<?php

declare(strict_types=1);

use Rrctl\\Http\\HttpWorker;
use Rrctl\\Http\\Request;

${requires(worker)}

// What stands here runs once, when the worker starts: load the application, open connections.
$started = date('H:i:s');

// This runs for each request. What it throws becomes status 500 and a log line; the worker goes on.
HttpWorker::create()->serve(function (Request $request, HttpWorker $http) use ($started): void {
    $http->respond(
        200,
        "Hello from worker " . getmypid() . ", started at $started. You asked for $request->path.\\n",
        ['Content-Type' => 'text/plain; charset=utf-8'],
    );
});
`;
}

export function globalsWorkerText(worker: OwnWorker & { script: string }): string {
  const run =
    worker.script === "public/index.php"
      ? "GlobalsWorker::serve(__DIR__ . '/public');"
      : `GlobalsWorker::run(static function (): void {
    require __DIR__ . '/${worker.script}';
});`;
  return `<?php

declare(strict_types=1);

use Rrctl\\Http\\GlobalsWorker;

${requires(worker)}

// Runs ${worker.script} for each request with $_GET, $_POST, $_COOKIE, $_FILES and $_SERVER set, and sends what it prints.
// It runs many times in one process: functions and classes belong into files that it loads with require_once.
${run}
`;
}

export function psr7WorkerText(): string {
  return `<?php

declare(strict_types=1);

use Nyholm\\Psr7\\Factory\\Psr17Factory;
use Nyholm\\Psr7\\Response;
use Psr\\Http\\Message\\ResponseInterface;
use Psr\\Http\\Message\\ServerRequestInterface;
use Spiral\\RoadRunner\\Http\\PSR7Worker;
use Spiral\\RoadRunner\\Worker;

require __DIR__ . '/vendor/autoload.php';

$factory = new Psr17Factory();
$psr7 = new PSR7Worker(Worker::create(), $factory, $factory, $factory);

// The application, made once: put your PSR-15 handler here.
$handle = static fn (ServerRequestInterface $request): ResponseInterface => new Response(
    200,
    ['Content-Type' => 'text/plain; charset=utf-8'],
    "Hello from worker " . getmypid() . ". You asked for {$request->getUri()->getPath()}.\\n",
);

while (true) {
    try {
        $request = $psr7->waitRequest();
    } catch (Throwable $malformed) {
        $psr7->respond(new Response(400));
        continue;
    }
    if ($request === null) {
        break;
    }
    try {
        $psr7->respond($handle($request));
    } catch (Throwable $error) {
        // The server logs it and answers with status 500.
        $psr7->getWorker()->error((string) $error);
    }
}
`;
}

/** A PHP string in single quotes. */
export function phpString(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
