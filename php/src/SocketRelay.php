<?php

declare(strict_types=1);

namespace Rrctl;

use Rrctl\Exception\RelayException;

/**
 * Frames over a unix or TCP socket. The server listens; this side connects when the first frame is wanted, so that
 * the connection means "the application has booted".
 */
final class SocketRelay extends StreamRelay
{
    private const CONNECT_TRIES = 10;
    private const CONNECT_PAUSE_MICROS = 20_000;

    private bool $connected = false;

    /**
     * @param string $address `unix:///path/to/socket` or `tcp://host:port`
     * @param float $connectTimeoutSeconds for one of the ten tries
     */
    public function __construct(private readonly string $address, private readonly float $connectTimeoutSeconds = 5.0)
    {
    }

    public function receive(): ?Frame
    {
        if (!$this->connected) {
            $this->connect();
        }

        return parent::receive();
    }

    public function send(string $frame): void
    {
        if (!$this->connected) {
            $this->connect();
        }
        parent::send($frame);
    }

    public function pending(): bool
    {
        return $this->connected && parent::pending();
    }

    public function needsPing(): bool
    {
        return false;
    }

    private function connect(): void
    {
        $context = \stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        for ($try = 1; ; $try++) {
            $socket = @\stream_socket_client(
                $this->address,
                $code,
                $text,
                $this->connectTimeoutSeconds,
                \STREAM_CLIENT_CONNECT,
                $context,
            );
            if ($socket !== false) {
                break;
            }
            if ($try === self::CONNECT_TRIES) {
                throw new RelayException(
                    "No connection to the relay {$this->address} after $try tries: $text (error $code). "
                    . 'Is the server that started this worker still running?'
                );
            }
            \usleep(self::CONNECT_PAUSE_MICROS);
        }
        // default_socket_timeout (60 s) would end the wait of an idle worker.
        \stream_set_timeout($socket, -1);
        $this->input = $socket;
        $this->output = $socket;
        $this->connected = true;
        $this->prepare();
    }
}
