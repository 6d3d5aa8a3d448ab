<?php

declare(strict_types=1);

namespace Rrctl\Http;

/** PHP sessions in a process that outlives a request. Everything here does nothing where the extension is missing. */
final class Session
{
    /** A session was used in this process before. */
    private static bool $used = false;

    /**
     * An id that is left from the last request would give its visitor's session to the next one.
     *
     * @param array<array-key, mixed> $cookies
     */
    public static function begin(array $cookies): void
    {
        unset($GLOBALS['_SESSION']);
        if (!\function_exists('session_id') || \session_status() !== \PHP_SESSION_NONE) {
            return;
        }
        self::$used = self::$used || \session_id() !== '';
        if (!self::$used) {
            return; // PHP finds the cookie by itself, also when the script names the session differently
        }
        $id = $cookies[\session_name()] ?? '';
        // Once an id was set PHP does not look at the cookie again. The empty one makes it create a new session.
        \session_id(\is_string($id) && \preg_match('/^[a-zA-Z0-9,-]{1,256}$/', $id) === 1 ? $id : '');
    }

    /**
     * The cookie and the cache headers that session_start() gives to the SAPI, where they are lost.
     *
     * @param array<array-key, mixed> $cookies of the request
     */
    public static function sendHeaders(ResponseHead $head, array $cookies): void
    {
        if (!isset($_SESSION) || !\function_exists('session_id') || ($id = \session_id()) === '') {
            return;
        }
        if (\ini_get('session.use_cookies') && $id !== ($cookies[\session_name()] ?? null)) {
            $options = \session_get_cookie_params();
            $lifetime = $options['lifetime'];
            unset($options['lifetime']);
            $head->cookie(\session_name(), $id, ['expires' => $lifetime > 0 ? \time() + $lifetime : 0] + $options);
        }
        $cacheControl = match (\session_cache_limiter()) {
            'nocache' => 'no-store, no-cache, must-revalidate',
            'private', 'private_no_expire' => 'private, max-age=' . 60 * \session_cache_expire(),
            'public' => 'public, max-age=' . 60 * \session_cache_expire(),
            default => '',
        };
        if ($cacheControl !== '' && !$head->has('Cache-Control')) {
            $head->header("Cache-Control: $cacheControl");
        }
        if (\session_cache_limiter() === 'nocache' && !$head->has('Pragma')) {
            $head->header('Pragma: no-cache');
        }
    }

    public static function end(): void
    {
        if (\function_exists('session_status') && \session_status() === \PHP_SESSION_ACTIVE) {
            \session_write_close();
        }
        unset($GLOBALS['_SESSION']);
    }
}
