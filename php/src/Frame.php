<?php

declare(strict_types=1);

namespace Rrctl;

/**
 * One goridge frame.
 *
 *   offset 0  1 byte   version 1 in the high nibble, header length in 32-bit words in the low one (3 + options)
 *          1  1 byte   flags: what the payload is and how it is encoded
 *          2  4 bytes  payload length, little endian
 *          6  4 bytes  CRC-32 of bytes 0..5, little endian
 *         10  1 byte   stream bits
 *         11  1 byte   0
 *         12  4 bytes each: options; an execution has exactly one, the length of the context
 *
 * The payload follows: context, then body.
 */
final class Frame
{
    public const CONTROL = 0x01;
    public const CODEC_RAW = 0x04;
    public const CODEC_JSON = 0x08;
    public const CODEC_MSGPACK = 0x10;
    public const CODEC_GOB = 0x20;
    public const ERROR = 0x40;
    public const CODEC_PROTOBUF = 0x80;
    public const CODEC_MASK = 0xBC;

    public const STREAM = 0x01;
    public const STOP = 0x02;
    public const PING = 0x04;
    public const PONG = 0x08;

    /** Length of a header without options, in bytes. */
    public const HEADER_BYTES = 12;

    /**
     * @param int $streamBits Frame::STREAM | STOP | PING | PONG
     * @param bool $hasContext whether the frame had an option; without one the whole payload is the body
     */
    public function __construct(
        public readonly int $flags,
        public readonly int $streamBits,
        public readonly bool $hasContext,
        public readonly string $context,
        public readonly string $body,
    ) {
    }

    /** The bytes of an execution frame: one option, context and body. */
    public static function pack(string $context, string $body, int $flags = 0, int $streamBits = 0): string
    {
        $contextBytes = \strlen($context);
        $head = \pack('CCV', 0x14, $flags, $contextBytes + \strlen($body));
        $rest = \pack('VCxV', \crc32($head), $streamBits, $contextBytes);

        // One interpolation is one allocation; a chain of dots would copy the body for every dot.
        return "{$head}{$rest}{$context}{$body}";
    }

    /** The bytes of a frame without options: control messages and error texts. */
    public static function packPlain(string $payload, int $flags, int $streamBits = 0): string
    {
        $head = \pack('CCV', 0x13, $flags, \strlen($payload));

        return $head . \pack('VCx', \crc32($head), $streamBits) . $payload;
    }
}
