<?php

declare(strict_types=1);

namespace Rrctl;

use Rrctl\Exception\ProtocolException;
use Rrctl\Exception\RelayException;

/** The way frames travel between the server and this process. */
interface Relay
{
    /**
     * The next frame; waits for it.
     *
     * @return Frame|null null when the server closed the connection between two frames
     *
     * @throws RelayException when the connection broke inside a frame
     * @throws ProtocolException when the bytes are not a frame
     */
    public function receive(): ?Frame;

    /**
     * Writes one packed frame with one write.
     *
     * @throws RelayException when the server is gone
     */
    public function send(string $frame): void;

    /** Whether receive() would find something at once. */
    public function pending(): bool;

    /**
     * Whether a long streamed reply has to ask the server (PING) before it goes on.
     * Pipes need it; on a socket the server's STOP is seen by polling.
     */
    public function needsPing(): bool;
}
