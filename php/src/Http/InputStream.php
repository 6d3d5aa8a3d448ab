<?php

declare(strict_types=1);

namespace Rrctl\Http;

/**
 * Stands in for the `php://` streams while a request with a body is handled, so that `php://input` is that body.
 * Every other php:// stream is the real one, passed through.
 */
final class InputStream
{
    private static string $body = '';

    private static bool $installed = false;

    /** @var resource|null set by PHP */
    public $context;

    /** @var resource|null the real stream; null for php://input */
    private $real = null;

    private int $at = 0;

    /** Makes php://input read $body. Nothing is replaced for an empty one: the real stream is empty already. */
    public static function install(string $body): void
    {
        if ($body === '') {
            return;
        }
        self::$body = $body;
        self::replace();
    }

    public static function uninstall(): void
    {
        self::$body = '';
        self::restore();
    }

    public function stream_open(string $path, string $mode, int $options, ?string &$opened): bool
    {
        if (\strcasecmp($path, 'php://input') === 0) {
            return true;
        }
        self::restore();
        try {
            $real = $this->context === null ? \fopen($path, $mode) : \fopen($path, $mode, false, $this->context);
        } finally {
            self::replace();
        }
        if ($real === false) {
            return false;
        }
        $this->real = $real;

        return true;
    }

    public function stream_read(int $bytes): string|false
    {
        if ($this->real !== null) {
            return \fread($this->real, $bytes);
        }
        $piece = \substr(self::$body, $this->at, $bytes);
        $this->at += \strlen($piece);

        return $piece;
    }

    public function stream_write(string $data): int
    {
        return $this->real === null ? 0 : (int) \fwrite($this->real, $data);
    }

    public function stream_eof(): bool
    {
        return $this->real === null ? $this->at >= \strlen(self::$body) : \feof($this->real);
    }

    public function stream_tell(): int
    {
        return $this->real === null ? $this->at : (int) \ftell($this->real);
    }

    public function stream_seek(int $offset, int $whence): bool
    {
        if ($this->real !== null) {
            return \fseek($this->real, $offset, $whence) === 0;
        }
        $at = match ($whence) {
            \SEEK_CUR => $this->at + $offset,
            \SEEK_END => \strlen(self::$body) + $offset,
            default => $offset,
        };
        if ($at < 0 || $at > \strlen(self::$body)) {
            return false;
        }
        $this->at = $at;

        return true;
    }

    public function stream_truncate(int $size): bool
    {
        return $this->real !== null && \ftruncate($this->real, $size);
    }

    public function stream_flush(): bool
    {
        return $this->real === null || \fflush($this->real);
    }

    public function stream_lock(int $operation): bool
    {
        return $this->real !== null && \flock($this->real, $operation);
    }

    /** @return array<array-key, mixed> */
    public function stream_stat(): array
    {
        return $this->real === null ? ['size' => \strlen(self::$body)] : (\fstat($this->real) ?: []);
    }

    /** None of the php:// streams has a status by name. */
    public function url_stat(string $path, int $flags): bool
    {
        return false;
    }

    /** @return resource|false */
    public function stream_cast(int $as)
    {
        return $this->real ?? false;
    }

    public function stream_set_option(int $option, int $first, ?int $second): bool
    {
        return match (true) {
            $this->real === null => false,
            $option === \STREAM_OPTION_BLOCKING => \stream_set_blocking($this->real, $first === 1),
            $option === \STREAM_OPTION_READ_TIMEOUT => \stream_set_timeout($this->real, $first, (int) $second),
            default => false,
        };
    }

    public function stream_close(): void
    {
        if ($this->real !== null) {
            \fclose($this->real);
        }
    }

    private static function replace(): void
    {
        if (!self::$installed) {
            self::$installed = true;
            \stream_wrapper_unregister('php');
            \stream_wrapper_register('php', self::class);
        }
    }

    private static function restore(): void
    {
        if (self::$installed) {
            self::$installed = false;
            \stream_wrapper_restore('php');
        }
    }
}
