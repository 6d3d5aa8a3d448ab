<?php

declare(strict_types=1);

namespace Rrctl\Http;

/**
 * Status and headers of one response, with the rules of PHP's header() and setcookie(). The command line SAPI throws
 * away what the real functions are given, so GlobalsWorker keeps it here.
 */
final class ResponseHead
{
    /** @var list<array{string, string, string}> lower-case name, name, value */
    private array $lines = [];

    private int $status = 200;

    private bool $sent = false;

    /** @var callable|null */
    private $callback = null;

    /** As header(). */
    public function header(string $line, bool $replace = true, int $status = 0): void
    {
        if ($this->refusesChange()) {
            return;
        }
        $line = \rtrim($line, " \t\r\n\v");
        if (\strpbrk($line, "\r\n") !== false) {
            \trigger_error('Header may not contain more than a single header, new line detected', \E_USER_WARNING);

            return;
        }
        if (\str_contains($line, "\0")) {
            \trigger_error('Header may not contain NUL bytes', \E_USER_WARNING);

            return;
        }
        if (\strncasecmp($line, 'HTTP/', 5) === 0) {
            $this->status = (int) \substr((string) \strstr($line, ' '), 1) ?: 200;

            return;
        }
        $colon = \strpos($line, ':');
        if ($colon === false || $colon === 0) {
            return;
        }
        $name = \rtrim(\substr($line, 0, $colon));
        $value = \ltrim(\substr($line, $colon + 1));
        $lower = \strtolower($name);
        if ($lower === 'status') {
            // The CGI way to set the status: `Status: 404 Not Found`.
            $this->status = $status ?: ((int) $value ?: $this->status);

            return;
        }
        if ($lower === 'content-type') {
            $value = self::withCharset($value);
        } elseif ($lower === 'location') {
            if ($this->status !== 201 && ($this->status < 300 || $this->status > 399)) {
                $this->status = 302;
            }
        } elseif ($lower === 'www-authenticate') {
            $this->status = 401;
        }
        if ($replace) {
            $this->drop($lower);
        }
        $this->lines[] = [$lower, $name, $value];
        if ($status > 0) {
            $this->status = $status;
        }
    }

    /** As header_remove(). */
    public function remove(?string $name = null): void
    {
        if ($this->refusesChange()) {
            return;
        }
        if ($name === null) {
            $this->lines = [];
        } else {
            $this->drop(\strtolower($name));
        }
    }

    /**
     * As headers_list().
     *
     * @return list<string>
     */
    public function list(): array
    {
        return \array_map(static fn (array $line): string => "$line[1]: $line[2]", $this->lines);
    }

    /** As http_response_code() under a web server: sets the status when one is given, returns the one before. */
    public function status(int $status = 0): int
    {
        $before = $this->status;
        if ($status > 0 && !$this->refusesChange()) {
            $this->status = $status;
        }

        return $before;
    }

    /**
     * As setcookie() with an encoded, setrawcookie() with a raw value.
     *
     * @param int|array<string, mixed> $options time of expiry, or the array form
     */
    public function cookie(
        string $name,
        string $value = '',
        int|array $options = 0,
        string $path = '',
        string $domain = '',
        bool $secure = false,
        bool $httpOnly = false,
        bool $encode = true,
    ): bool {
        $sameSite = '';
        if (\is_int($options)) {
            $expires = $options;
        } else {
            $options = \array_change_key_case($options);
            $expires = (int) ($options['expires'] ?? 0);
            $path = (string) ($options['path'] ?? '');
            $domain = (string) ($options['domain'] ?? '');
            $secure = (bool) ($options['secure'] ?? false);
            $httpOnly = (bool) ($options['httponly'] ?? false);
            $sameSite = (string) ($options['samesite'] ?? '');
        }
        if ($name === '') {
            throw new \ValueError('setcookie(): Argument #1 ($name) cannot be empty');
        }
        if (\strpbrk($name, "=,; \t\r\n\013\014") !== false) {
            throw new \ValueError(
                'setcookie(): Argument #1 ($name) cannot contain "=", ",", ";", " ", "\t", "\r", "\n", "\013", or "\014"'
            );
        }
        if (!$encode && \strpbrk($value, ",; \t\r\n\013\014") !== false) {
            throw new \ValueError(
                'setrawcookie(): Argument #2 ($value) cannot contain ",", ";", " ", "\t", "\r", "\n", "\013", or "\014"'
            );
        }
        if (\strpbrk($path . $domain . $sameSite, ",; \t\r\n\013\014") !== false) {
            throw new \ValueError(
                'setcookie(): the options path, domain and samesite cannot contain separators or white space'
            );
        }
        if ($this->refusesChange()) {
            return false;
        }
        if ($value === '') {
            $line = "$name=deleted; expires=" . self::date(1) . '; Max-Age=0';
        } else {
            $line = "$name=" . ($encode ? \rawurlencode($value) : $value);
            if ($expires > 0) {
                $line .= '; expires=' . self::date($expires) . '; Max-Age=' . \max(0, $expires - \time());
            }
        }
        $line .= ($path === '' ? '' : "; path=$path")
            . ($domain === '' ? '' : "; domain=$domain")
            . ($secure ? '; secure' : '')
            . ($httpOnly ? '; HttpOnly' : '')
            . ($sameSite === '' ? '' : "; SameSite=$sameSite");
        $this->lines[] = ['set-cookie', 'Set-Cookie', $line];

        return true;
    }

    /** As header_register_callback(): called once, before the head is sent. */
    public function onSend(callable $callback): void
    {
        $this->callback = $callback;
    }

    public function isSent(): bool
    {
        return $this->sent;
    }

    public function has(string $name): bool
    {
        $lower = \strtolower($name);
        foreach ($this->lines as $line) {
            if ($line[0] === $lower) {
                return true;
            }
        }

        return false;
    }

    /**
     * Closes the head for changes and returns it. Without a Content-Type the one of php.ini is added, as PHP does.
     *
     * @return array{int, array<string, list<string>>} status and headers
     */
    public function send(): array
    {
        if ($this->callback !== null) {
            [$callback, $this->callback] = [$this->callback, null];
            $callback();
        }
        if (!$this->has('Content-Type') && ($type = (string) \ini_get('default_mimetype')) !== '') {
            $charset = (string) \ini_get('default_charset');
            $this->lines[] = ['content-type', 'Content-Type', $charset === '' ? $type : "$type; charset=$charset"];
        }
        $this->sent = true;
        $headers = [];
        $names = [];
        foreach ($this->lines as [$lower, $name, $value]) {
            $headers[$names[$lower] ??= $name][] = $value;
        }

        return [$this->status, $headers];
    }

    private function refusesChange(): bool
    {
        if ($this->sent) {
            \trigger_error('Cannot modify header information - headers already sent', \E_USER_WARNING);
        }

        return $this->sent;
    }

    private function drop(string $lower): void
    {
        $this->lines = \array_values(\array_filter($this->lines, static fn (array $line): bool => $line[0] !== $lower));
    }

    private static function withCharset(string $type): string
    {
        $charset = (string) \ini_get('default_charset');
        if ($charset === '' || \strncasecmp($type, 'text/', 5) !== 0 || \stripos($type, 'charset=') !== false) {
            return $type;
        }

        return "$type;charset=$charset";
    }

    private static function date(int $time): string
    {
        return \gmdate('D, d M Y H:i:s', $time) . ' GMT';
    }
}
