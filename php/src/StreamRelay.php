<?php

declare(strict_types=1);

namespace Rrctl;

use Rrctl\Exception\ProtocolException;
use Rrctl\Exception\RelayException;

/** Frames over a pair of PHP streams: STDIN and STDOUT by default. */
class StreamRelay implements Relay
{
    /** A small frame comes in one read of this size; larger bodies are read straight to their length. */
    private const READ_BYTES = 8192;

    /** Bytes that were read with an earlier frame but belong to the next one. */
    private string $rest = '';

    /**
     * @param resource $input
     * @param resource $output
     */
    public function __construct(protected $input, protected $output)
    {
        $this->prepare();
    }

    /** The relay of a worker on pipes. STDIN and STDOUT do not exist when PHP reads its script from standard input. */
    public static function standard(): self
    {
        return new self(
            \defined('STDIN') ? \STDIN : \fopen('php://stdin', 'rb'),
            \defined('STDOUT') ? \STDOUT : \fopen('php://stdout', 'wb'),
        );
    }

    public function receive(): ?Frame
    {
        $data = $this->rest;
        if ($data === '') {
            $data = $this->read();
            if ($data === '') {
                return null;
            }
        }
        if (\strlen($data) < Frame::HEADER_BYTES) {
            $data .= $this->readExactly(Frame::HEADER_BYTES - \strlen($data), 'the header of a frame');
        }

        $first = \ord($data[0]);
        $fields = \unpack('Vlength/Vcheck', $data, 2);
        if (($first & 0xF0) !== 0x10 || $first < 0x13 || $fields['check'] !== \crc32(\substr($data, 0, 6))) {
            throw new ProtocolException(
                'The server sent ' . self::quote($data) . ' where a frame should begin (version 1, at least 3 words, '
                . 'CRC-32 of the first 6 bytes). Does something else write to this relay, or is RR_RELAY wrong?'
            );
        }
        $flags = \ord($data[1]);
        $streamBits = \ord($data[10]);
        $payloadBytes = $fields['length'];
        $contextBytes = 0;
        $contextStart = ($first & 0x0F) << 2;
        $have = \strlen($data);

        if ($contextStart > Frame::HEADER_BYTES) {
            if ($have < $contextStart) {
                $data .= $this->readExactly($contextStart - $have, 'the options of a frame');
                $have = $contextStart;
            }
            // A context that claims more than there is gets all there is.
            $contextBytes = \min(\unpack('V', $data, 12)[1], $payloadBytes);
        }

        $bodyStart = $contextStart + $contextBytes;
        $end = $contextStart + $payloadBytes;
        if ($have === $end) {
            $this->rest = '';
            $body = \substr($data, $bodyStart);
        } elseif ($have > $end) {
            $this->rest = \substr($data, $end);
            $body = \substr($data, $bodyStart, $payloadBytes - $contextBytes);
        } else {
            $this->rest = '';
            if ($have < $bodyStart) {
                $data .= $this->readExactly($bodyStart - $have, 'the context of a frame');
                $have = $bodyStart;
            }
            $body = $have < $end ? $this->readExactly($end - $have, 'the body of a frame') : '';
            if ($have > $bodyStart) {
                $body = \substr($data, $bodyStart) . $body;
            }
        }

        return new Frame(
            $flags,
            $streamBits,
            $contextStart > Frame::HEADER_BYTES,
            $contextBytes === 0 ? '' : \substr($data, $contextStart, $contextBytes),
            $body,
        );
    }

    public function send(string $frame): void
    {
        $written = @\fwrite($this->output, $frame);
        $total = \strlen($frame);
        while ($written !== $total) {
            // A signal or a full non-blocking pipe cut the write short: the rest follows as soon as there is room.
            if ($written === false || !\is_resource($this->output)) {
                throw new RelayException(
                    "The server did not take a frame of $total bytes: "
                    . (\error_get_last()['message'] ?? 'the relay is closed') . '.'
                );
            }
            $frame = \substr($frame, $written);
            $total -= $written;
            $none = null;
            $writable = [$this->output];
            @\stream_select($none, $writable, $none, 1);
            $written = @\fwrite($this->output, $frame);
        }
    }

    public function pending(): bool
    {
        if ($this->rest !== '') {
            return true;
        }
        $none = null;
        $readable = [$this->input];

        return @\stream_select($readable, $none, $none, 0) === 1;
    }

    public function needsPing(): bool
    {
        return true;
    }

    /**
     * Moves the frames to a descriptor of their own and closes standard output, for a caller that wants to own it.
     * The STDOUT constant is a closed resource from then on.
     *
     * @return bool false when the relay does not use standard output; it is closed all the same
     */
    public function leaveStandardOutput(): bool
    {
        $shared = \defined('STDOUT') && $this->output === \STDOUT;
        if ($shared) {
            $own = \fopen('php://fd/1', 'wb');
            if ($own === false) {
                throw new RelayException('Descriptor 1 could not be duplicated: is standard output closed?');
            }
            $this->output = $own;
        }
        if (\defined('STDOUT') && \is_resource(\STDOUT)) {
            \fclose(\STDOUT);
        }

        return $shared;
    }

    /** Our own buffer replaces the one of the stream: one copy less, and select() tells the truth. */
    protected function prepare(): void
    {
        \stream_set_blocking($this->input, true);
        \stream_set_read_buffer($this->input, 0);
        if ($this->output !== $this->input) {
            \stream_set_blocking($this->output, true);
        }
        \stream_set_write_buffer($this->output, 0);
    }

    /** What is there, at least one byte; '' at the end of the stream. */
    private function read(): string
    {
        do {
            $data = @\fread($this->input, self::READ_BYTES);
            if ($data === false) {
                throw new RelayException(
                    'The relay could not be read: ' . (\error_get_last()['message'] ?? 'it is closed') . '.'
                );
            }
            // An empty read that is not the end is a signal or a socket timeout.
        } while ($data === '' && !\feof($this->input));

        return $data;
    }

    private function readExactly(int $bytes, string $what): string
    {
        $data = (string) @\stream_get_contents($this->input, $bytes);
        while (($missing = $bytes - \strlen($data)) > 0) {
            if (\feof($this->input)) {
                throw new RelayException("The server closed the relay inside $what: $missing of $bytes bytes missing.");
            }
            $data .= @\stream_get_contents($this->input, $missing);
        }

        return $data;
    }

    private static function quote(string $data): string
    {
        $start = \substr($data, 0, 48);

        return \preg_match('/^[\x20-\x7E\r\n\t]+$/', $start) === 1
            ? '"' . \addcslashes($start, "\r\n\t\"") . '"'
            : '0x' . \bin2hex($start);
    }
}
