<?php

declare(strict_types=1);

namespace Rrctl;

/**
 * What one execution carries, in either direction.
 * The meaning of both strings belongs to the plugin: for HTTP the context is the head and the body is the body.
 */
final class Payload
{
    /**
     * @param int $codec codec bits of the frame (Frame::CODEC_*): how the context is encoded; 0 when nothing was said
     */
    public function __construct(
        public readonly string $body = '',
        public readonly string $context = '',
        public readonly int $codec = 0,
    ) {
    }
}
