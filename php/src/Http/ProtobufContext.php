<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Rrctl\Exception\ProtocolException;

/**
 * The head of a request and of a response as protobuf, written out by hand so that no package is needed.
 *
 *   Request     1 remote_addr  2 protocol  3 method  4 uri  5 header (map)  6 cookies (map)  7 raw_query  8 parsed
 *               9 uploads (JSON)  10 attributes (map)  100 file inputs (JSON)
 *   Response    1 status  2 headers (map)
 *   HeaderValue 1 value (repeated)            a map is a repeated entry of 1 key, 2 HeaderValue
 */
final class ProtobufContext
{
    private const VARINT = 0;
    private const FIXED64 = 1;
    private const BYTES = 2;
    private const FIXED32 = 5;

    // Keys and values below are tags: number << 3 | wire type.
    private const TEXTS = [0x0a => 'remoteAddr', 0x12 => 'protocol', 0x1a => 'method', 0x22 => 'uri', 0x3a => 'rawQuery'];
    private const MAPS = [0x2a => 'headers', 0x32 => 'cookies', 0x52 => 'attributes'];
    private const PARSED = 0x40;
    private const JSON = [0x4a => 'uploads', 0x322 => 'fileInputs'];

    /**
     * @return array<string, mixed> the fields of Request
     */
    public static function decodeRequest(string $context): array
    {
        $fields = [
            'remoteAddr' => '',
            'protocol' => '',
            'method' => '',
            'uri' => '',
            'headers' => [],
            'cookies' => [],
            'rawQuery' => '',
            'parsed' => false,
            'uploads' => null,
            'attributes' => [],
            'fileInputs' => null,
        ];
        $end = \strlen($context);
        $at = 0;
        while ($at < $end) {
            $tag = \ord($context[$at]);
            // Tag and length in one byte each: decoded here, a call for each would double the time.
            if (
                ($tag & 0x87) === self::BYTES && $at + 1 < $end
                && ($length = \ord($context[$at + 1])) < 0x80 && ($stop = $at + 2 + $length) <= $end
            ) {
                $at += 2;
            } else {
                $tag = self::varint($context, $at, $end);
                if (($tag & 7) !== self::BYTES) {
                    $value = self::scalar($context, $at, $end, $tag & 7);
                    if ($tag === self::PARSED) {
                        $fields['parsed'] = $value !== 0;
                    }
                    continue;
                }
                $stop = self::lengthEnd($context, $at, $end);
            }
            if (isset(self::TEXTS[$tag])) {
                $fields[self::TEXTS[$tag]] = \substr($context, $at, $stop - $at);
            } elseif (isset(self::MAPS[$tag])) {
                self::entry($context, $at, $stop, $fields[self::MAPS[$tag]]);
            } elseif (isset(self::JSON[$tag])) {
                $fields[self::JSON[$tag]] = \json_decode(\substr($context, $at, $stop - $at), true);
            }
            $at = $stop;
        }
        foreach ($fields['cookies'] as $name => $values) {
            $fields['cookies'][$name] = $values[0] ?? '';
        }

        return $fields;
    }

    /**
     * @param array<string, list<string>> $headers
     */
    public static function encodeResponse(int $status, array $headers): string
    {
        // Proto3 leaves zero out; a negative number is as invalid as a status and would take ten bytes.
        $out = $status > 0 ? "\x08" . self::packVarint($status) : '';
        foreach ($headers as $name => $values) {
            $list = '';
            foreach ($values as $value) {
                $list .= "\x0a" . self::packBytes($value);
            }
            $out .= "\x12" . self::packBytes("\x0a" . self::packBytes((string) $name) . "\x12" . self::packBytes($list));
        }

        return $out;
    }

    /**
     * One map entry, from $at to $stop.
     *
     * @param array<string, list<string>> $map
     */
    private static function entry(string $context, int $at, int $stop, array &$map): void
    {
        // Nearly every entry is a short name with one short value: 0a <n> name 12 <m> 0a <k> value, to the last byte.
        if ($stop - $at > 5 && $context[$at] === "\x0a" && ($length = \ord($context[$at + 1])) < 0x80) {
            $value = $at + 2 + $length;
            if (
                $value + 4 <= $stop && $context[$value] === "\x12" && $context[$value + 2] === "\x0a"
                && ($valueLength = \ord($context[$value + 3])) < 0x7E && $value + 4 + $valueLength === $stop
                && \ord($context[$value + 1]) === $valueLength + 2
            ) {
                $map[\substr($context, $at + 2, $length)] = [\substr($context, $value + 4, $valueLength)];

                return;
            }
        }
        $key = '';
        $values = [];
        while ($at < $stop) {
            $tag = self::varint($context, $at, $stop);
            if (($tag & 7) !== self::BYTES) {
                self::scalar($context, $at, $stop, $tag & 7);
                continue;
            }
            $end = self::lengthEnd($context, $at, $stop);
            if ($tag === 0x0a) {
                $key = \substr($context, $at, $end - $at);
            } elseif ($tag === 0x12) {
                self::values($context, $at, $end, $values);
            }
            $at = $end;
        }
        $map[$key] = $values;
    }

    /**
     * The values of one HeaderValue message, from $at to $stop.
     *
     * @param list<string> $values
     */
    private static function values(string $context, int $at, int $stop, array &$values): void
    {
        while ($at < $stop) {
            $tag = self::varint($context, $at, $stop);
            if (($tag & 7) !== self::BYTES) {
                self::scalar($context, $at, $stop, $tag & 7);
                continue;
            }
            $end = self::lengthEnd($context, $at, $stop);
            if ($tag === 0x0a) {
                $values[] = \substr($context, $at, $end - $at);
            }
            $at = $end;
        }
    }

    private static function varint(string $context, int &$at, int $end): int
    {
        if ($at < $end && ($byte = \ord($context[$at])) < 0x80) {
            $at++;

            return $byte;
        }
        $value = 0;
        $shift = 0;
        do {
            if ($at >= $end || $shift > 63) {
                throw new ProtocolException("The protobuf context of the request breaks off or is damaged at byte $at.");
            }
            $byte = \ord($context[$at++]);
            $value |= ($byte & 0x7F) << $shift;
            $shift += 7;
        } while ($byte & 0x80);

        return $value;
    }

    /** Reads the length of a field and returns where the field ends. */
    private static function lengthEnd(string $context, int &$at, int $end): int
    {
        $length = self::varint($context, $at, $end);
        if ($length < 0 || $length > $end - $at) {
            throw new ProtocolException(
                "The protobuf context of the request is damaged: a field of $length bytes at byte $at, "
                . ($end - $at) . ' bytes are left.'
            );
        }

        return $at + $length;
    }

    private static function scalar(string $context, int &$at, int $end, int $type): int
    {
        if ($type === self::VARINT) {
            return self::varint($context, $at, $end);
        }
        if ($type !== self::FIXED32 && $type !== self::FIXED64) {
            throw new ProtocolException("The protobuf context of the request has wire type $type at byte $at.");
        }
        $at += $type === self::FIXED32 ? 4 : 8;

        return 0;
    }

    private static function packVarint(int $value): string
    {
        $out = '';
        while ($value > 0x7F) {
            $out .= \chr($value & 0x7F | 0x80);
            $value >>= 7;
        }

        return $out . \chr($value);
    }

    private static function packBytes(string $bytes): string
    {
        $length = \strlen($bytes);

        return ($length < 0x80 ? \chr($length) : self::packVarint($length)) . $bytes;
    }
}
