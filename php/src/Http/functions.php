<?php

declare(strict_types=1);

// What a plain script needs of its web server, for scripts that run under GlobalsWorker. The functions of the same name
// without namespace work too when FunctionTakeover could replace them.

namespace Rrctl\Http;

/** As PHP's header(). */
function header(string $header, bool $replace = true, int $response_code = 0): void
{
    GlobalsWorker::current()->head()->header($header, $replace, $response_code);
}

/** As PHP's header_remove(). */
function header_remove(?string $name = null): void
{
    GlobalsWorker::current()->head()->remove($name);
}

/**
 * As PHP's headers_list().
 *
 * @return list<string>
 */
function headers_list(): array
{
    return GlobalsWorker::current()->head()->list();
}

/** As PHP's headers_sent(), without the place. */
function headers_sent(): bool
{
    return GlobalsWorker::current()->head()->isSent();
}

/** As PHP's header_register_callback(). */
function header_register_callback(callable $callback): bool
{
    GlobalsWorker::current()->head()->onSend($callback);

    return true;
}

/** As PHP's http_response_code(). */
function http_response_code(int $response_code = 0): int
{
    return GlobalsWorker::current()->head()->status($response_code);
}

/**
 * As PHP's setcookie().
 *
 * @param int|array<string, mixed> $expires_or_options
 */
function setcookie(
    string $name,
    string $value = '',
    int|array $expires_or_options = 0,
    string $path = '',
    string $domain = '',
    bool $secure = false,
    bool $httponly = false,
): bool {
    return GlobalsWorker::current()->head()
        ->cookie($name, $value, $expires_or_options, $path, $domain, $secure, $httponly);
}

/**
 * As PHP's setrawcookie().
 *
 * @param int|array<string, mixed> $expires_or_options
 */
function setrawcookie(
    string $name,
    string $value = '',
    int|array $expires_or_options = 0,
    string $path = '',
    string $domain = '',
    bool $secure = false,
    bool $httponly = false,
): bool {
    return GlobalsWorker::current()->head()
        ->cookie($name, $value, $expires_or_options, $path, $domain, $secure, $httponly, false);
}

/** The body of the current request, as php://input would give it; '' for a multipart form. */
function input(): string
{
    return GlobalsWorker::current()->input();
}

/**
 * The headers of the current request, several values joined.
 *
 * @return array<string, string>
 */
function getallheaders(): array
{
    return GlobalsWorker::current()->requestHeaders();
}

/** Whether the path is a temporary file that came with the current request. */
function is_uploaded_file(string $filename): bool
{
    return GlobalsWorker::current()->isUploadedFile($filename);
}

/** Moves a temporary file that came with the current request; false for any other file, or when it cannot be moved. */
function move_uploaded_file(string $from, string $to): bool
{
    return GlobalsWorker::current()->moveUploadedFile($from, $to);
}

/** Sends what was printed so far to the client. Ends the script when the client went away, see ignore_user_abort(). */
function flush(): void
{
    GlobalsWorker::current()->flush();
}

/** Sends the response; what the script does afterwards keeps nobody waiting. */
function finish_request(): bool
{
    return GlobalsWorker::current()->finishRequest();
}

/** 1 when the client went away. Noticed when output is sent. */
function connection_aborted(): int
{
    return GlobalsWorker::current()->isClientGone() ? 1 : 0;
}

/** As PHP's ignore_user_abort(): whether a script runs on after its client went away. */
function ignore_user_abort(?bool $enable = null): int
{
    return GlobalsWorker::current()->ignoreClientGone($enable) ? 1 : 0;
}
