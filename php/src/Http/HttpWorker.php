<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Rrctl\Frame;
use Rrctl\Payload;
use Rrctl\Stderr;
use Rrctl\Worker;

/**
 * HTTP requests without any framework:
 *
 *     $http = HttpWorker::create();
 *     while ($request = $http->waitRequest()) {
 *         $http->respond(200, "Hello from $request->path\n", ['Content-Type' => 'text/plain']);
 *     }
 *
 * or, with exceptions turned into status 500 and a trace on standard error, serve().
 */
final class HttpWorker
{
    /** Replies use the encoding of the request: Frame::CODEC_JSON or Frame::CODEC_PROTOBUF. */
    private int $codec = Frame::CODEC_JSON;

    /** The final head of the current response is on its way. */
    private bool $headSent = false;

    private int $lastStatus = 0;

    /** @var array<string, string|list<string>> */
    private array $lastHeaders = [];

    private string $lastHead = '';

    private int $lastCodec = 0;

    public function __construct(private readonly Worker $worker)
    {
    }

    /** A worker on the relay that the server named. */
    public static function create(): self
    {
        return new self(Worker::create());
    }

    /** The next request; null when the worker shall end. */
    public function waitRequest(): ?Request
    {
        $payload = $this->worker->waitPayload();
        if ($payload === null) {
            return null;
        }
        $this->headSent = false;
        $protobuf = ($payload->codec & Frame::CODEC_PROTOBUF) !== 0;
        $this->codec = $protobuf ? Frame::CODEC_PROTOBUF : Frame::CODEC_JSON;

        return new Request($payload->context, $payload->body, $protobuf);
    }

    /**
     * Answers the current request.
     *
     * @param string|iterable<string|\Stringable> $body pieces of an iterable are sent one by one, as they come
     * @param array<string, string|list<string>> $headers several values: a list. Names in a `Trailer` header
     *                                                    are sent after the body by the server
     *
     * @return bool false when the client went away while the body was streamed
     */
    public function respond(int $status, string|iterable $body = '', array $headers = []): bool
    {
        $head = $this->head($status, $headers);
        $this->headSent = true;
        if (\is_string($body)) {
            $this->worker->respond(new Payload($body, $head), $this->codec);

            return true;
        }
        try {
            return $this->worker->respondStream($body, $head, $this->codec);
        } finally {
            // Pieces that threw before the first one leave the request open for another answer.
            $this->headSent = !$this->worker->isBusy();
        }
    }

    /**
     * Sends an informational response, such as 103 Early Hints, before the real one.
     *
     * @param array<string, string|list<string>> $headers
     *
     * @return bool false when the client went away
     */
    public function inform(int $status, array $headers = []): bool
    {
        if ($status < 100 || $status > 199 || $status === 101) {
            throw new \InvalidArgumentException("Status $status is not informational: expected 100 or 102 to 199.");
        }

        return $this->worker->sendPiece('', $this->head($status, $headers), $this->codec);
    }

    /**
     * Sends one piece of the response; the first call sends the head. end() must follow.
     *
     * @param array<string, string|list<string>> $headers
     *
     * @return bool false when the client went away: stop producing and call end()
     */
    public function write(string $piece, int $status = 200, array $headers = []): bool
    {
        $head = $this->headSent ? '' : $this->head($status, $headers);
        $this->headSent = true;

        return $this->worker->sendPiece($piece, $head, $this->codec);
    }

    /** Ends a response that was begun with write(). */
    public function end(string $piece = ''): bool
    {
        return $this->worker->endStream($piece, '', $this->codec);
    }

    /** Fails the current request: the server logs the text and answers for us (status 500 unless configured). */
    public function error(string $message): void
    {
        $this->worker->error($message);
    }

    /**
     * Reports a throwable on standard error and answers the current request with status 500, if that is still possible.
     * With the pool's `debug` the server answers, with a page that shows the throwable.
     */
    public function fail(\Throwable $error): void
    {
        if (self::isDebugging() && $this->worker->isBusy() && !$this->headSent) {
            $this->error((string) $error);

            return;
        }
        Stderr::report($error, 'Uncaught in the handler of a request');
        if (!$this->worker->isBusy()) {
            return;
        }
        if ($this->headSent) {
            $this->end();

            return;
        }
        $this->respond(500, "Internal Server Error\n", ['Content-Type' => 'text/plain; charset=utf-8']);
    }

    /**
     * Handles requests until the server ends this worker. What the handler throws becomes status 500 and a trace on
     * standard error; the worker goes on.
     *
     * @param callable(Request, self): mixed $handler answers by respond(), or returns the body of an HTML page
     */
    public function serve(callable $handler): void
    {
        while ($request = $this->waitRequest()) {
            try {
                $page = $handler($request, $this);
                if ($this->worker->isBusy()) {
                    $this->headSent
                        ? $this->end()
                        : $this->respond(200, \is_string($page) ? $page : '', ['Content-Type' => 'text/html; charset=utf-8']);
                }
            } catch (\Throwable $error) {
                $this->fail($error);
            }
        }
    }

    /** The pool's `debug` is on: error pages show what is known. */
    public static function isDebugging(): bool
    {
        return \getenv('RR_DEBUG') === '1';
    }

    public function getWorker(): Worker
    {
        return $this->worker;
    }

    /**
     * @param array<string, string|list<string>> $headers
     */
    private function head(int $status, array $headers): string
    {
        // Most applications send few different heads; equal literal arrays compare by their address.
        if ($status === $this->lastStatus && $this->codec === $this->lastCodec && $headers === $this->lastHeaders) {
            return $this->lastHead;
        }
        $lists = [];
        foreach ($headers as $name => $values) {
            if (!\is_array($values)) {
                $lists[$name] = [(string) $values];
                continue;
            }
            $list = [];
            foreach ($values as $value) {
                $list[] = (string) $value;
            }
            if ($list !== []) {
                $lists[$name] = $list;
            }
        }
        $this->lastStatus = $status;
        $this->lastHeaders = $headers;
        $this->lastCodec = $this->codec;

        return $this->lastHead = $this->codec === Frame::CODEC_PROTOBUF
            ? ProtobufContext::encodeResponse($status, $lists)
            : JsonContext::encodeResponse($status, $lists);
    }
}
