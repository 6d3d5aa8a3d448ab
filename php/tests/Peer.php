<?php

declare(strict_types=1);

namespace Rrctl\Tests;

const BEHAVIOURS = __DIR__ . '/fixtures/behaviours.php';
const ECHO_WORKER = __DIR__ . '/../examples/echo.php';

/**
 * The server's end: starts a worker script and speaks frames to it over real pipes or sockets.
 * Packs and reads frames by its own code, so that a mistake of the library does not hide behind itself.
 */
final class Peer
{
    private const DEADLINE_SECONDS = 15.0;

    /** @var list<self> */
    private static array $open = [];

    private string $buffer = '';

    /**
     * @param resource $process
     * @param resource $input where frames to the worker are written
     * @param resource $output where its frames are read
     * @param resource|null $stdout its standard output when the frames go over a socket
     */
    private function __construct(
        private $process,
        private $input,
        private $output,
        private readonly string $log,
        private $stdout = null,
    ) {
        self::$open[] = $this;
    }

    /**
     * A worker on pipes.
     *
     * @param array<string, string> $environment added to ours
     * @param list<string> $options of php
     */
    public static function start(string $script, array $environment = [], array $options = [], ?string $directory = null): self
    {
        [$process, $pipes, $log] = self::spawn($script, $environment, $options, $directory);

        return new self($process, $pipes[0], $pipes[1], $log);
    }

    /**
     * A worker that connects to a listener of ours.
     *
     * @param resource $listener
     */
    public static function startOnSocket(string $script, $listener, string $relay): self
    {
        [$process, $pipes, $log] = self::spawn($script, ['RR_RELAY' => $relay], [], null);
        $socket = stream_socket_accept($listener, self::DEADLINE_SECONDS);
        if ($socket === false) {
            throw new Failed("the worker did not connect to $relay: " . file_get_contents($log));
        }

        return new self($process, $socket, $socket, $log, $pipes[1]);
    }

    public static function endAll(): void
    {
        foreach (self::$open as $peer) {
            $peer->kill();
        }
        self::$open = [];
    }

    /** A frame with one option, the length of the context. */
    public static function pack(string $context, string $body, int $flags = 0x08): string
    {
        $six = chr(0x14) . chr($flags) . pack('V', strlen($context . $body));

        return $six . pack('V', crc32($six)) . "\0\0" . pack('V', strlen($context)) . $context . $body;
    }

    public function write(string $bytes): void
    {
        fwrite($this->input, $bytes);
        fflush($this->input);
    }

    /**
     * The next frame of the worker.
     *
     * @return array{flags: int, bits: int, options: list<int>, context: string, body: string, bytes: string}
     */
    public function read(): array
    {
        $header = $this->take(12);
        $flags = ord($header[1]);
        $words = (ord($header[0]) & 15) - 3;
        same(0x10, ord($header[0]) & 0xF0, 'version nibble of ' . bin2hex($header));
        same(bin2hex(pack('V', crc32(substr($header, 0, 6)))), bin2hex(substr($header, 6, 4)), 'CRC');
        same("\0", $header[11], 'byte 11');
        $packed = $this->take(4 * $words);
        $options = $words > 0 ? array_values((array) unpack('V*', $packed)) : [];
        $payload = $this->take(unpack('V', $header, 2)[1]);
        $contextBytes = $options[0] ?? 0;

        return [
            'flags' => $flags,
            'bits' => ord($header[10]),
            'options' => $options,
            'context' => substr($payload, 0, $contextBytes),
            'body' => substr($payload, $contextBytes),
            'bytes' => $header . $packed . $payload,
        ];
    }

    /** Sends a payload and returns the reply frame. */
    public function execute(string $context, string $body, int $flags = 0x08): array
    {
        $this->write(self::pack($context, $body, $flags));

        return $this->read();
    }

    /**
     * Sends an HTTP request in JSON and returns the reply.
     *
     * @param array<string, mixed> $fields of the context, over sensible ones
     *
     * @return array{status: int, headers: array<string, list<string>>, body: string, bits: int}
     */
    public function http(array $fields, string $body = ''): array
    {
        $this->write(self::pack(self::context($fields), $body));

        return $this->httpReply();
    }

    /** @return array{status: int, headers: array<string, list<string>>, body: string, bits: int} */
    public function httpReply(): array
    {
        $frame = $this->read();
        if ($frame['flags'] & 0x40) {
            throw new Failed('error frame: ' . $frame['context'] . $frame['body']);
        }
        same(0x08, $frame['flags'], 'codec of the reply');
        $head = $frame['context'] === '' ? [] : json_decode($frame['context'], true, flags: JSON_THROW_ON_ERROR);

        return [
            'status' => $head['status'] ?? 0,
            'headers' => $head['headers'] ?? [],
            'body' => $frame['body'],
            'bits' => $frame['bits'],
        ];
    }

    /** @param array<string, mixed> $fields */
    public static function context(array $fields): string
    {
        $fields += [
            'remoteAddr' => '10.1.2.3',
            'protocol' => 'HTTP/1.1',
            'method' => 'GET',
            'uri' => 'http://example.com/',
            'headers' => [],
            'cookies' => [],
            'rawQuery' => explode('?', $fields['uri'] ?? '', 2)[1] ?? '',
            'parsed' => false,
            'uploads' => null,
            'attributes' => [],
        ];
        foreach (['headers', 'cookies', 'attributes'] as $map) {
            $fields[$map] = (object) $fields[$map];
        }

        return json_encode($fields, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
    }

    /**
     * The frames of one streamed reply; a PING is answered.
     *
     * @return list<array{string, string, int}> context, body, stream bits
     */
    public function readStream(int $limit = 1000): array
    {
        $frames = [];
        do {
            $frame = $this->read();
            $frames[] = [$frame['context'], $frame['body'], $frame['bits']];
            if ($frame['bits'] & 4) {
                $this->write(vector('stream.rr2024.ping.pong'));
            }
        } while ($frame['bits'] & 1 && count($frames) < $limit);

        return $frames;
    }

    /** Whether the worker sent something that was not read yet; waits a moment for it. */
    public function hasMore(float $seconds = 0.05): bool
    {
        $read = [$this->output];
        $none = null;

        return $this->buffer !== '' || stream_select($read, $none, $none, 0, (int) ($seconds * 1e6)) === 1;
    }

    public function log(): string
    {
        return (string) file_get_contents($this->log);
    }

    public function pid(): int
    {
        return proc_get_status($this->process)['pid'];
    }

    /** Closes our end of the worker's input. */
    public function hangUp(): void
    {
        fclose($this->input);
    }

    /** Waits for the end of the worker; nothing may be left to read. Returns its exit code. */
    public function exitCode(): int
    {
        $rest = $this->buffer . $this->drain($this->output);
        same('', $rest, 'output of the worker at its end');

        return $this->reap();
    }

    /** Standard output of a worker on a socket, to its end. */
    public function stdout(): string
    {
        return $this->drain($this->stdout);
    }

    public function kill(): void
    {
        if (is_resource($this->process)) {
            proc_terminate($this->process, 9);
            $this->reap();
        }
        @unlink($this->log);
    }

    private function reap(): int
    {
        foreach ([$this->input, $this->output, $this->stdout] as $stream) {
            if (is_resource($stream)) {
                fclose($stream);
            }
        }

        return proc_close($this->process);
    }

    private function take(int $bytes): string
    {
        $deadline = microtime(true) + self::DEADLINE_SECONDS;
        while (strlen($this->buffer) < $bytes) {
            $this->buffer .= $this->more($this->output, $deadline)
                ?? throw new Failed("the worker ended, $bytes bytes wanted, there are 0x" . bin2hex(substr($this->buffer, 0, 100))
                    . "; its log: {$this->log()}");
        }
        $taken = substr($this->buffer, 0, $bytes);
        $this->buffer = substr($this->buffer, $bytes);

        return $taken;
    }

    /** @param resource $stream */
    private function drain($stream): string
    {
        $deadline = microtime(true) + self::DEADLINE_SECONDS;
        $all = '';
        while (($piece = $this->more($stream, $deadline)) !== null) {
            $all .= $piece;
        }

        return $all;
    }

    /** @param resource $stream */
    private function more($stream, float $deadline): ?string
    {
        $left = $deadline - microtime(true);
        $read = [$stream];
        $none = null;
        if ($left <= 0 || stream_select($read, $none, $none, (int) $left, (int) (fmod($left, 1) * 1e6)) !== 1) {
            throw new Failed('the worker was silent for ' . self::DEADLINE_SECONDS . " s; its log: {$this->log()}");
        }
        $piece = (string) fread($stream, 65536);

        return $piece === '' && feof($stream) ? null : $piece;
    }

    /** @return array{resource, array<int, resource>, string} */
    private static function spawn(string $script, array $environment, array $options, ?string $directory): array
    {
        $log = (string) tempnam(sys_get_temp_dir(), 'rrctl-test');
        $inherited = getenv();
        unset($inherited['RR_RELAY']);
        $process = proc_open(
            [PHP_BINARY, ...$options, $script],
            [['pipe', 'r'], ['pipe', 'w'], ['file', $log, 'a']],
            $pipes,
            $directory,
            $environment + $inherited,
        );
        if ($process === false) {
            throw new Failed("$script could not be started");
        }
        foreach ($pipes as $pipe) {
            stream_set_read_buffer($pipe, 0);
            stream_set_write_buffer($pipe, 0);
        }

        return [$process, $pipes, $log];
    }
}
