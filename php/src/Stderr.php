<?php

declare(strict_types=1);

namespace Rrctl;

/** Standard error is the log of a worker: everything that is not a frame goes there. */
final class Stderr
{
    /** @var resource|null */
    private static $stream = null;

    public static function write(string $text): void
    {
        self::$stream ??= \defined('STDERR') ? \STDERR : \fopen('php://stderr', 'wb');
        @\fwrite(self::$stream, $text);
    }

    /** A throwable with its trace and causes, as PHP itself would print an uncaught one. */
    public static function report(\Throwable $error, string $where = ''): void
    {
        self::write(($where === '' ? '' : "$where: ") . $error . "\n");
    }

    /**
     * Sends what the application prints (echo, var_dump, warnings) to standard error, each piece at once:
     * a byte of it on standard output would be read as part of a frame.
     */
    public static function interceptOutput(): void
    {
        \ob_start(static function (string $output): string {
            if ($output !== '') {
                self::write($output);
            }

            return '';
        }, 1);
    }

    /** Errors, the fatal ones too, are printed to standard error, once. */
    public static function showErrors(): void
    {
        $loggedThereAlready = \filter_var(\ini_get('log_errors'), \FILTER_VALIDATE_BOOL) && !\ini_get('error_log');
        \ini_set('display_errors', $loggedThereAlready ? '0' : 'stderr');
        \ini_set('html_errors', '0');
    }
}
