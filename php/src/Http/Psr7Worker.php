<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UploadedFileInterface;
use Rrctl\Stderr;

/**
 * Requests and responses as PSR-7 messages:
 *
 *     $psr7 = Psr7Worker::create();
 *     while ($request = $psr7->waitRequest()) {
 *         $psr7->respond($application->handle($request));
 *     }
 */
final class Psr7Worker
{
    private const PIECE_BYTES = 65_536;

    /**
     * Bodies longer than this many bytes, and those of unknown length, are sent in pieces of this size;
     * 0 sends every body whole.
     */
    public int $chunkSize = self::PIECE_BYTES;

    private readonly Psr17Factories $factories;

    /** @var array<string, mixed> the environment of the process, which every request's server params begin with */
    private readonly array $environment;

    public function __construct(private readonly HttpWorker $http, ?Psr17Factories $factories = null)
    {
        $this->factories = $factories ?? Psr17Factories::detect();
        $this->environment = $_SERVER;
    }

    /** A worker on the relay that the server named. */
    public static function create(?Psr17Factories $factories = null): self
    {
        // Before the relay is touched: a missing library shall be a message, not a broken handshake.
        $factories ??= Psr17Factories::detect();

        return new self(HttpWorker::create(), $factories);
    }

    /**
     * The next request; null when the worker shall end.
     * A request that the PSR-7 library refuses (a malformed uri or header) is answered with status 400 here.
     */
    public function waitRequest(): ?ServerRequestInterface
    {
        while ($request = $this->http->waitRequest()) {
            try {
                return $this->convert($request);
            } catch (\InvalidArgumentException $error) {
                Stderr::report($error, "Request refused, {$request->method} {$request->uri}");
                $this->http->respond(400, "Bad Request\n", ['Content-Type' => 'text/plain; charset=utf-8']);
            }
        }

        return null;
    }

    /** @return bool false when the client went away while the body was sent */
    public function respond(ResponseInterface $response): bool
    {
        $body = $response->getBody();
        $size = $body->getSize();
        $whole = $this->chunkSize <= 0 || ($size !== null && $size <= $this->chunkSize);

        return $this->http->respond(
            $response->getStatusCode(),
            $whole ? (string) $body : $this->pieces($body),
            $response->getHeaders(),
        );
    }

    /** Fails the current request with a text for the server's log. */
    public function error(string $message): void
    {
        $this->http->error($message);
    }

    /** Reports a throwable on standard error and answers with status 500, if that is still possible. */
    public function fail(\Throwable $error): void
    {
        $this->http->fail($error);
    }

    /**
     * Handles requests until the server ends this worker; what the handler throws becomes status 500.
     *
     * @param callable(ServerRequestInterface): ResponseInterface $handler
     */
    public function serve(callable $handler): void
    {
        while ($request = $this->waitRequest()) {
            try {
                $this->respond($handler($request));
            } catch (\Throwable $error) {
                $this->fail($error);
            }
        }
    }

    public function getHttpWorker(): HttpWorker
    {
        return $this->http;
    }

    /** @return \Generator<int, string> */
    private function pieces(StreamInterface $body): \Generator
    {
        if ($body->isSeekable()) {
            $body->rewind();
        }
        // A stream of known size is filled up to whole pieces (most give 8 KiB a read); of a live one each read counts.
        $fill = $body->getSize() !== null;
        while (!$body->eof()) {
            $piece = $body->read($this->chunkSize);
            while ($fill && ($missing = $this->chunkSize - \strlen($piece)) > 0 && !$body->eof()) {
                $piece .= $body->read($missing);
            }
            if ($piece !== '') {
                yield $piece;
            }
        }
    }

    private function convert(Request $request): ServerRequestInterface
    {
        $message = $this->factories->requests->createServerRequest(
            $request->method,
            $request->uri,
            $this->serverParams($request),
        );
        $protocol = \substr($request->protocol, 5);
        if ($protocol !== '1.1') {
            $message = $message->withProtocolVersion($protocol === '2.0' ? '2' : ($protocol === '1.0' ? '1.0' : '1.1'));
        }
        foreach ($request->headers as $name => $values) {
            if ((string) $name !== '') {
                $message = $message->withHeader((string) $name, $values);
            }
        }
        if ($request->cookies !== []) {
            $message = $message->withCookieParams($request->cookies);
        }
        if ($request->rawQuery !== '') {
            $message = $message->withQueryParams($request->query);
        }
        if ($request->uploads !== []) {
            $message = $message->withUploadedFiles($this->uploadedFiles($request->uploads));
        }
        foreach ($request->attributes as $name => $value) {
            $message = $message->withAttribute((string) $name, $value);
        }
        $message = $message->withAttribute('rr_parsed_body', $request->parsed);
        if ($request->parsed) {
            $message = $message->withParsedBody($request->form);
        }

        return $request->body === ''
            ? $message
            : $message->withBody($this->factories->streams->createStream($request->body));
    }

    /** @return array<string, mixed> */
    private function serverParams(Request $request): array
    {
        $address = $request->attributes['ipAddress'] ?? $request->remoteAddr;
        $now = \microtime(true);
        $params = $this->environment;
        $params['REMOTE_ADDR'] = \is_array($address) ? (string) \reset($address) : $address;
        $params['REQUEST_METHOD'] = $request->method;
        $params['REQUEST_URI'] = $request->uri;
        $params['REQUEST_TIME'] = (int) $now;
        $params['REQUEST_TIME_FLOAT'] = $now;
        $params['HTTP_USER_AGENT'] = '';
        foreach ($request->headers as $name => $values) {
            $key = \strtoupper(\strtr((string) $name, '-', '_'));
            $params[$key === 'CONTENT_TYPE' || $key === 'CONTENT_LENGTH' ? $key : "HTTP_$key"] = \implode(', ', $values);
        }

        return $params;
    }

    /**
     * @param array<array-key, mixed> $tree
     *
     * @return array<array-key, mixed>
     */
    private function uploadedFiles(array $tree): array
    {
        $files = [];
        foreach ($tree as $name => $node) {
            $files[$name] = self::isFile($node) ? $this->uploadedFile($node) : $this->uploadedFiles($node);
        }

        return $files;
    }

    /** A leaf has a tmpName that is a string; a form field called tmpName would hold a node. */
    private static function isFile(array $node): bool
    {
        return \is_string($node['tmpName'] ?? null) && \is_int($node['error'] ?? null);
    }

    private function uploadedFile(array $file): UploadedFileInterface
    {
        $error = $file['error'];
        if ($error === \UPLOAD_ERR_OK) {
            try {
                $stream = $this->factories->streams->createStreamFromFile($file['tmpName']);
            } catch (\RuntimeException) {
                // The file is gone already: the application sees it as an upload that could not be written.
                $error = \UPLOAD_ERR_CANT_WRITE;
            }
        }

        return $this->factories->uploadedFiles->createUploadedFile(
            $stream ?? $this->factories->streams->createStream(),
            (int) ($file['size'] ?? 0),
            $error,
            (string) ($file['name'] ?? ''),
            (string) ($file['mime'] ?? ''),
        );
    }
}
