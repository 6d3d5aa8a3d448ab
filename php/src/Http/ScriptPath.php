<?php

declare(strict_types=1);

namespace Rrctl\Http;

/** Which script below a document root answers a path. */
final class ScriptPath
{
    /**
     * @param string $root absolute, resolved
     * @param string $path of the request, undecoded
     *
     * @return array{string, string} the script, relative to the root and beginning with /, and PATH_INFO;
     *                               the script is '' when there is none
     */
    public static function find(string $root, string $path): array
    {
        $path = \rawurldecode($path);
        $front = \is_file("$root/index.php") ? '/index.php' : '';
        // Parents and hidden files (.git, .env.php) are never scripts.
        if (\str_contains($path, "\0") || \str_contains($path, '/.')) {
            return [$front, ''];
        }
        $path = (string) \preg_replace('~/{2,}~', '/', $path);
        if (\str_ends_with($path, '.php') && self::isScript($root, $path)) {
            return [$path, ''];
        }
        $index = \rtrim($path, '/') . '/index.php';
        if ($index !== '/index.php' && self::isScript($root, $index)) {
            return [$index, ''];
        }
        $end = \strpos($path, '.php/');
        if ($end !== false && self::isScript($root, \substr($path, 0, $end + 4))) {
            return [\substr($path, 0, $end + 4), \substr($path, $end + 4)];
        }

        return [$front, ''];
    }

    /** Symbolic links must not lead out of the root. */
    private static function isScript(string $root, string $path): bool
    {
        $real = \is_file($root . $path) ? \realpath($root . $path) : false;

        return $real !== false && \str_starts_with($real, \rtrim($root, '/') . '/');
    }
}
