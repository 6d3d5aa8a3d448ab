<?php

declare(strict_types=1);

namespace Rrctl\Tests;

final class Failed extends \Exception
{
}

final class Skipped extends \Exception
{
}

function same(mixed $expected, mixed $actual, string $what = 'value'): void
{
    if ($expected !== $actual) {
        throw new Failed("$what\n  expected " . show($expected) . "\n  got      " . show($actual));
    }
}

function ok(bool $condition, string $what): void
{
    if (!$condition) {
        throw new Failed($what);
    }
}

function contains(string $needle, string $haystack, string $what = 'text'): void
{
    if (!str_contains($haystack, $needle)) {
        throw new Failed("$what\n  expected to contain " . show($needle) . "\n  got " . show($haystack));
    }
}

/** @param class-string<\Throwable> $class */
function throws(string $class, callable $code, string $text = ''): void
{
    try {
        $code();
    } catch (\Throwable $error) {
        if (!$error instanceof $class) {
            throw new Failed("expected $class, got $error");
        }
        contains($text, $error->getMessage(), 'message');

        return;
    }
    throw new Failed("expected $class, nothing was thrown");
}

function show(mixed $value): string
{
    if (is_string($value) && preg_match('//u', $value) !== 1) {
        return '0x' . bin2hex(substr($value, 0, 400));
    }
    $text = json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);

    return strlen((string) $text) > 2000 ? substr((string) $text, 0, 2000) . ' ...' : (string) $text;
}

/** Bytes of a frame from vectors.json. */
function vector(string $name): string
{
    static $frames;
    $frames ??= json_decode((string) file_get_contents(__DIR__ . '/vectors.json'), true, flags: JSON_THROW_ON_ERROR)['frames'];

    return (string) hex2bin($frames[$name] ?? throw new Failed("there is no vector $name"));
}

/** Order of keys does not count. */
function sorted(mixed $value): mixed
{
    if (is_array($value)) {
        $value = array_map(sorted(...), $value);
        ksort($value);
    }

    return $value;
}

/** Context of a frame with one option. */
function contextOf(string $frame): string
{
    return substr($frame, 16, unpack('V', $frame, 12)[1]);
}
