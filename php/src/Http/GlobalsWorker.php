<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Rrctl\Exception\RelayException;
use Rrctl\Exception\StateException;
use Rrctl\Relays;
use Rrctl\Stderr;
use Rrctl\StreamRelay;
use Rrctl\Worker;

require_once __DIR__ . '/functions.php';

/**
 * Plain PHP scripts as under a web server: $_GET, $_POST, $_COOKIE, $_FILES and $_SERVER are filled for each request,
 * what is printed becomes the body, header() and setcookie() reach the client.
 *
 *     GlobalsWorker::serve(__DIR__ . '/public');            // runs the script that the path names, else index.php
 *     GlobalsWorker::run(function () { echo $_GET['a']; }); // runs one function for every request
 *
 * Call it first in the worker script; see FunctionTakeover.
 */
final class GlobalsWorker
{
    /** Output beyond this many bytes is sent while the script still runs; its headers cannot change any more then. */
    private const BUFFER_BYTES = 1_048_576;

    private const FATAL = \E_ERROR | \E_CORE_ERROR | \E_COMPILE_ERROR | \E_PARSE | \E_RECOVERABLE_ERROR;

    private static ?self $current = null;

    /** @var resource|false|null standard output where no temporary file can be had; only kept open */
    private static $log = null;

    private readonly HttpWorker $http;

    /** @var array<string, mixed> */
    private readonly array $environment;

    /** @var resource|null where output lands that goes around our buffer; standard output of this process is this file */
    private $stray;

    private ?Request $request = null;

    private ResponseHead $head;

    /** @var array<string, true> */
    private array $uploadedFiles = [];

    /** Output that our buffer handed over when it was closed. */
    private string $output = '';

    /** Depth of the output buffers below ours. */
    private int $level = 0;

    /** Pieces of the response are on their way. */
    private bool $streaming = false;

    private bool $clientGone = false;

    private bool $ignoreClientGone = false;

    private function __construct(
        private readonly string $documentRoot,
        private readonly string $scriptName,
        private readonly int $bufferBytes,
    ) {
        $this->environment = Superglobals::environment($_SERVER);
        $this->head = new ResponseHead();
        $relay = Relays::fromEnvironment();
        if ($relay instanceof StreamRelay) {
            // Frames get a descriptor of their own. The lowest free one is 1 then, so the next file that is opened
            // becomes standard output: scripts that close all output buffers print into it, not into the frames.
            $relay->leaveStandardOutput();
        }
        $this->stray = @\tmpfile() ?: null;
        if ($this->stray === null) {
            // No temporary directory: such output goes to the log then. Never closed, or 1 would be free again.
            self::$log = \fopen('php://stderr', 'wb');
        } else {
            // The file lives as long as it is open; a worker that is killed leaves nothing behind.
            @\unlink(\stream_get_meta_data($this->stray)['uri']);
        }
        Stderr::showErrors();
        $this->http = new HttpWorker(Worker::create($relay, interceptOutput: false));
        self::$current = $this;
    }

    /**
     * Runs one function for every request until the server ends this worker.
     *
     * @param callable(Request): mixed $handler prints the page, or returns it as a string
     * @param int $bufferBytes output beyond this many bytes is sent while the handler still runs
     */
    public static function run(callable $handler, int $bufferBytes = self::BUFFER_BYTES): void
    {
        FunctionTakeover::ensure();
        $script = (string) \realpath((string) $_SERVER['SCRIPT_FILENAME']);
        $worker = new self(\dirname($script), '/' . \basename($script), $bufferBytes);
        $worker->loop(static function (Request $request) use ($worker, $handler): mixed {
            $worker->fill($request, $worker->scriptName, '');

            return $handler($request);
        });
    }

    /**
     * Runs the PHP script that the path of the request names, else the nearest: `/a/b.php`, `/a/` with an index.php,
     * `/a.php/more` (more becomes PATH_INFO), otherwise `/index.php` as front controller, otherwise status 404.
     * Files that are not PHP are the business of the server's static middleware.
     *
     * @param int $bufferBytes output beyond this many bytes is sent while the script still runs
     */
    public static function serve(string $documentRoot, int $bufferBytes = self::BUFFER_BYTES): void
    {
        FunctionTakeover::ensure();
        $root = \realpath($documentRoot);
        if ($root === false || !\is_dir($root)) {
            throw new \InvalidArgumentException("The document root \"$documentRoot\" is not a directory.");
        }
        $worker = new self($root, '/index.php', $bufferBytes);
        $worker->loop(static function (Request $request) use ($worker, $root): void {
            [$script, $pathInfo] = ScriptPath::find($root, $request->path);
            if ($script === '') {
                $worker->head->status(404);
                $worker->head->header('Content-Type: text/plain');
                echo "Not Found\n";

                return;
            }
            $worker->fill($request, $script, $pathInfo);
            \chdir(\dirname($root . $script));
            // Its own scope, with nothing of ours in it.
            (static function (): void {
                require \func_get_arg(0);
            })($root . $script);
        });
    }

    /** The worker of this process. */
    public static function current(): self
    {
        return self::$current ?? throw new StateException(
            'This function needs GlobalsWorker::run() or GlobalsWorker::serve() to be running.'
        );
    }

    public function head(): ResponseHead
    {
        return $this->head;
    }

    public function input(): string
    {
        if ($this->request === null) {
            return '';
        }
        if (!$this->request->parsed) {
            return $this->request->body;
        }
        // The server parsed the form; an equal body is built again. PHP has none for multipart forms either.
        return \stripos($this->request->header('Content-Type'), 'multipart/') === 0
            ? ''
            : \http_build_query($this->request->form);
    }

    /** @return array<string, string> */
    public function requestHeaders(): array
    {
        $headers = [];
        if ($this->request !== null) {
            $headers['Host'] = $_SERVER['HTTP_HOST'] ?? '';
            foreach ($this->request->headers as $name => $values) {
                $headers[$name] = \implode(', ', $values);
            }
        }

        return $headers;
    }

    /**
     * The superglobal behind an INPUT_* constant.
     *
     * @return array<array-key, mixed>
     */
    public function inputVariables(int $type): array
    {
        return match ($type) {
            \INPUT_GET => $_GET,
            \INPUT_POST => $_POST,
            \INPUT_COOKIE => $_COOKIE,
            \INPUT_SERVER => $_SERVER,
            \INPUT_ENV => $_ENV,
            default => throw new \ValueError('The type must be one of the INPUT_* constants'),
        };
    }

    public function isUploadedFile(string $path): bool
    {
        return isset($this->uploadedFiles[$path]);
    }

    public function moveUploadedFile(string $from, string $to): bool
    {
        if (!isset($this->uploadedFiles[$from])) {
            return false;
        }
        // rename() cannot move between file systems without a copy, and a copy has the owner and mode of this process.
        if (!@\rename($from, $to) && !(\copy($from, $to) && \unlink($from))) {
            return false;
        }
        unset($this->uploadedFiles[$from]);
        @\chmod($to, 0o666 & ~\umask());

        return true;
    }

    public function flush(): void
    {
        $depth = \ob_get_level() - $this->level;
        if ($this->request !== null && $depth === 1) {
            \ob_flush();
        } elseif ($this->request !== null && $depth < 1) {
            $this->stream($this->output . $this->takeStray());
            $this->output = '';
        }
        if ($this->clientGone && !$this->ignoreClientGone) {
            throw new ClientGone('The client went away.');
        }
    }

    public function finishRequest(): bool
    {
        if (!$this->http->getWorker()->isBusy()) {
            return false;
        }
        $this->closeBuffers();
        $this->answer(false);
        // What is printed from here on has no reader.
        \ob_start(static fn (): string => '', 1);

        return true;
    }

    public function isClientGone(): bool
    {
        return $this->clientGone;
    }

    public function ignoreClientGone(?bool $enable): bool
    {
        $before = $this->ignoreClientGone;
        $this->ignoreClientGone = $enable ?? $before;

        return $before;
    }

    /** @param \Closure(Request): mixed $handler */
    private function loop(\Closure $handler): void
    {
        \register_shutdown_function($this->shutDown(...));
        while ($request = $this->http->waitRequest()) {
            $this->begin($request);
            $failed = false;
            try {
                $page = $handler($request);
                if (\is_string($page)) {
                    echo $page;
                }
            } catch (ClientGone) {
                // The end of the script, as under a web server.
            } catch (\Throwable $error) {
                Stderr::report($error, "Uncaught in {$request->method} {$request->uri}");
                $failed = true;
            }
            $this->finish($failed);
        }
        $this->logStray();
    }

    private function begin(Request $request): void
    {
        $this->request = $request;
        $this->head = new ResponseHead();
        $this->output = '';
        $this->streaming = false;
        $this->clientGone = false;
        $this->ignoreClientGone = false;
        \error_clear_last();
        if (\ini_get('max_execution_time') !== '0') {
            \set_time_limit(0); // a limit that the last script set would end this one
        }
        $this->logStray();
        $this->level = \ob_get_level();
        \ob_start($this->capture(...), $this->bufferBytes);
    }

    /** Fills the superglobals for the current request. */
    private function fill(Request $request, string $scriptName, string $pathInfo): void
    {
        $_GET = Superglobals::get($request);
        $_POST = Superglobals::post($request);
        $_COOKIE = Superglobals::cookie($request);
        $_FILES = Superglobals::files($request);
        $_REQUEST = Superglobals::request($_GET, $_POST, $_COOKIE);
        $_SERVER = Superglobals::server($request, $this->environment, $this->documentRoot, $scriptName, $pathInfo);
        $this->uploadedFiles = Superglobals::temporaryFiles($request->uploads);
        if ($request->body !== '') {
            InputStream::install($this->input());
        }
        Session::begin($_COOKIE);
    }

    /** Output handler around one request. */
    private function capture(string $output, int $phase): string
    {
        if ($phase & \PHP_OUTPUT_HANDLER_CLEAN) {
            return '';
        }
        if ($phase & \PHP_OUTPUT_HANDLER_FINAL) {
            $this->output .= $output;
        } elseif ($output !== '' || $phase & \PHP_OUTPUT_HANDLER_FLUSH) {
            $this->stream($output);
        }

        return '';
    }

    private function stream(string $piece): void
    {
        if ($this->clientGone || !$this->http->getWorker()->isBusy()) {
            return;
        }
        if ($this->streaming) {
            $this->clientGone = !$this->http->write($piece);

            return;
        }
        $this->streaming = true;
        [$status, $headers] = $this->sendHead();
        $this->clientGone = !$this->http->write($piece, $status, $headers);
    }

    /** Ends the request: whatever the script left open is closed, the response is sent. */
    private function finish(bool $failed): void
    {
        $this->closeBuffers();
        if ($this->http->getWorker()->isBusy()) {
            $this->answer($failed);
        }
        Session::end();
        InputStream::uninstall();
        $this->uploadedFiles = [];
        $this->request = null;
        $this->output = '';
    }

    private function closeBuffers(): void
    {
        while (\ob_get_level() > $this->level && \ob_end_flush()) {
            // The innermost first; ours hands its content over in capture().
        }
        $this->output .= $this->takeStray();
    }

    /** What was printed between two requests belongs to none. */
    private function logStray(): void
    {
        $output = $this->takeStray();
        if ($output !== '') {
            Stderr::write($output);
        }
    }

    /** What was printed since the script closed our buffer. */
    private function takeStray(): string
    {
        if ($this->stray === null || (\fstat($this->stray)['size'] ?? 0) === 0) {
            return '';
        }
        \rewind($this->stray);
        $output = (string) \stream_get_contents($this->stray);
        \ftruncate($this->stray, 0);
        \rewind($this->stray);

        return $output;
    }

    private function answer(bool $failed): void
    {
        if ($this->streaming) {
            $this->http->end($this->output);
        } elseif ($failed && HttpWorker::isDebugging()) {
            $this->http->error('The script failed; what it printed and logged says why.');
        } elseif ($failed) {
            $this->http->respond(500, "Internal Server Error\n", ['Content-Type' => 'text/plain; charset=utf-8']);
        } else {
            [$status, $headers] = $this->sendHead();
            $this->http->respond($status, $this->output, $headers);
        }
        $this->output = '';
    }

    /** @return array{int, array<string, list<string>>} */
    private function sendHead(): array
    {
        Session::sendHeaders($this->head, $this->request === null ? [] : $this->request->cookies);

        return $this->head->send();
    }

    /**
     * The script called exit() or hit a fatal error. Its own shutdown functions come first, as they may still print.
     */
    private function shutDown(): void
    {
        if ($this->request !== null) {
            \ini_set('memory_limit', '-1'); // the fatal error may have been the limit
            \register_shutdown_function($this->answerLast(...));
        }
    }

    /**
     * PHP cannot run another script after exit(): the response is sent, the next request is handed back for another
     * worker, and the server replaces this one.
     */
    private function answerLast(): void
    {
        try {
            $this->finish(((\error_get_last()['type'] ?? 0) & self::FATAL) !== 0);
            if ($this->http->waitRequest() !== null) {
                $this->http->getWorker()->stop();
            }
        } catch (RelayException) {
            // The server is gone, and with it everybody who could want an answer.
        }
    }
}
