<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Rrctl\Stderr;

/**
 * Makes plain header(), setcookie(), move_uploaded_file() ... calls work on the command line SAPI.
 *
 * That SAPI drops headers: headers_list() stays empty whatever header() was given. A function named in
 * disable_functions does not exist, though, and what does not exist can be declared. The setting is read at start only,
 * so the process replaces itself once by the same command with that setting (pcntl_exec: same process id, same pipes).
 */
final class FunctionTakeover
{
    /** The functions that get a new body; see global-functions.php. */
    public const FUNCTIONS = [
        'connection_aborted',
        'connection_status',
        'filter_has_var',
        'filter_input',
        'filter_input_array',
        'flush',
        'header',
        'header_register_callback',
        'header_remove',
        'headers_list',
        'headers_sent',
        'http_response_code',
        'ignore_user_abort',
        'is_uploaded_file',
        'move_uploaded_file',
        'setcookie',
        'setrawcookie',
    ];

    private const DONE_VARIABLE = 'RRCTL_FUNCTIONS_TAKEN';

    /**
     * Call before anything else is done: what ran before runs a second time.
     *
     * @return bool whether all functions are taken over
     */
    public static function ensure(): bool
    {
        $missing = \array_filter(self::FUNCTIONS, '\function_exists');
        $tried = \getenv(self::DONE_VARIABLE) !== false;
        if ($missing !== [] && !$tried) {
            self::restart();
        }
        \putenv(self::DONE_VARIABLE);
        require_once __DIR__ . '/global-functions.php';
        // A function that this file declared is ours.
        $missing = \array_filter(
            self::FUNCTIONS,
            static fn (string $name): bool => (new \ReflectionFunction($name))->isInternal(),
        );
        if ($missing !== []) {
            Stderr::write(
                'These functions of PHP do nothing in a worker, what a script gives them is lost: '
                . \implode(', ', $missing) . ". Start the worker with\n  php " . self::option()
                . " worker.php\nor call the ones of the namespace Rrctl\\Http instead.\n"
            );
        }

        return $missing === [];
    }

    /** The option for the command line of the worker. */
    public static function option(): string
    {
        return '-d disable_functions=' . \implode(',', self::FUNCTIONS);
    }

    private static function restart(): void
    {
        if (\PHP_SAPI !== 'cli' || !\function_exists('pcntl_exec') || !\is_readable('/proc/self/cmdline')) {
            return;
        }
        $arguments = \explode("\0", \substr((string) \file_get_contents('/proc/self/cmdline'), 0, -1));
        \array_shift($arguments);
        $disabled = \array_filter([(string) \ini_get('disable_functions'), ...self::FUNCTIONS]);
        \putenv(self::DONE_VARIABLE . '=1');
        // Returns only on failure; the notice of ensure() tells then.
        @\pcntl_exec(\PHP_BINARY, ['-d', 'disable_functions=' . \implode(',', $disabled), ...$arguments]);
    }
}
