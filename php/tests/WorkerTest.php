<?php

declare(strict_types=1);

namespace Rrctl\Tests;

/** Sends a frame from the vectors, expects the bytes of another one. */
function exchange(string $name): \Closure
{
    return function () use ($name): void {
        $peer = Peer::start(BEHAVIOURS);
        $bodies = [
            'exec.error' => 'error',
            'exec.error-empty' => 'error-empty',
            'exec.worker-stop' => 'stop',
            'exec.reply-header-only' => 'header-only',
            'exec.reply-empty' => 'empty',
        ];
        $peer->write(isset($bodies[$name]) ? Peer::pack('', $bodies[$name], 0) : vector("$name.request"));
        same(bin2hex(vector("$name.reply")), bin2hex($peer->read()['bytes']));
        same('still there', $peer->execute('', 'still there')['body']);
    };
}

$tests = [];
foreach (['exec.error', 'exec.error-empty', 'exec.worker-stop', 'exec.reply-header-only', 'exec.reply-empty', 'exec.both-empty'] as $name) {
    $tests["answers $name byte for byte"] = exchange($name);
}
foreach (['control-unknown', 'control-not-json', 'control-scalar', 'control-empty', 'no-option', 'bad-crc', 'hl2'] as $name) {
    $tests["ends with a clear message on malformed.$name"] = function () use ($name): void {
        $peer = Peer::start(ECHO_WORKER);
        $peer->write(vector("malformed.rr2024.$name"));
        same(255, $peer->exitCode(), 'exit code');
        contains('ProtocolException', $peer->log());
        contains(str_starts_with($name, 'control') ? 'expected {"pid":<number>} or {"stop":true}' : 'The server sent', $peer->log());
    };
}

return $tests + [
    'handshake: answers {"pid"} with its own' => function (): void {
        foreach (['boot.pipes.rr2024.pid.request', 'malformed.rr2024.control-no-codec'] as $name) {
            $peer = Peer::start(ECHO_WORKER);
            $peer->write(vector($name));
            $frame = $peer->read();
            same([0x01, 0, [], '{"pid":' . $peer->pid() . '}'], [$frame['flags'], $frame['bits'], $frame['options'], $frame['body']]);
        }
    },
    '{"stop":true} ends the loop, the exit code is 0' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(vector('control.rr2024.stop'));
        same(0, $peer->exitCode());
        same("loop ended\n", $peer->log());
    },
    'the end of the pipe ends the loop too' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        same('x', $peer->execute('', 'x')['body']);
        $peer->hangUp();
        same(0, $peer->exitCode());
        same("loop ended\n", $peer->log());
    },
    'bare STOP and PONG while idle are skipped' => function (): void {
        foreach (['stop', 'pong'] as $bit) {
            $peer = Peer::start(ECHO_WORKER);
            $peer->write(vector("malformed.rr2024.$bit-bit-idle"));
            same('next', $peer->read()['body']);
        }
    },
    'a header in pieces is put together' => function (): void {
        $peer = Peer::start(ECHO_WORKER);
        $bytes = vector('malformed.rr2024.split-header');
        foreach (str_split($bytes) as $index => $byte) {
            if ($index > 0 && $index < 17) {
                // The worker has read what was sent when it is the reader that waits.
                waitUntilBlocked($peer->pid());
            }
            $peer->write($byte);
        }
        same('hello', $peer->read()['body']);
    },
    'a frame of 5 MB arrives whole, and goes back' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $body = 'measure ' . random_bytes(5_000_000);
        same('70000 ' . md5($body), $peer->execute(str_repeat('c', 70_000), $body)['body']);
        same(5_000_000, strlen($peer->execute('', 'large 5000000')['body']));
    },
    'echo.php gives context and body back' => function (): void {
        $peer = Peer::start(ECHO_WORKER);
        foreach (['', 'b', random_bytes(100_000)] as $body) {
            foreach (['', '{"a":1}'] as $context) {
                $frame = $peer->execute($context, $body, 0x04);
                same([$context, $body, 0, [strlen($context)]], [$frame['context'], $frame['body'], $frame['bits'], $frame['options']]);
            }
        }
    },
    'the codec of the request can be read and given back' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $frame = $peer->execute('', 'codec', 0x80);
        same([0x80, '128'], [$frame['flags'], $frame['body']]);
    },
    'echo, var_dump and warnings go to standard error, each once' => function (): void {
        foreach ([[], ['-d', 'log_errors=1'], ['-d', 'log_errors=0'], ['-d', 'display_errors=1', '-d', 'log_errors=0']] as $options) {
            $peer = Peer::start(BEHAVIOURS, options: $options);
            same('printed', $peer->execute('', 'print')['body']);
            same('next', $peer->execute('', 'next')['body']);
            contains("echoed array(1) {\n", $peer->log());
            same(1, substr_count($peer->log(), 'a warning'), 'warnings in ' . $peer->log());
        }
    },
    'output stays off the frames after the application closed all output buffers' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        same('cleaned', $peer->execute('', 'clean')['body']);
        same('printed', $peer->execute('', 'print')['body']);
        contains('echoed', $peer->log());
    },
    'a second answer is refused, the next request gets its own' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        same('first', $peer->execute('', 'twice')['body']);
        same('next', $peer->execute('', 'next')['body']);
        contains('answered already', $peer->log());
    },
    'an uncaught exception and a fatal error are told on standard error' => function (): void {
        foreach (['throw' => 'nobody catches this', 'memory' => 'Allowed memory size'] as $command => $text) {
            foreach (['0', '1'] as $logged) {
                $peer = Peer::start(BEHAVIOURS, options: ['-d', "log_errors=$logged", '-d', 'memory_limit=64M']);
                $peer->write(Peer::pack('', $command));
                same(255, $peer->exitCode());
                same(1, substr_count($peer->log(), $text), "mentions in {$peer->log()}");
            }
        }
    },
    'exit() ends the process with its code, without a frame' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'exit 3'));
        same(3, $peer->exitCode());
    },
];

/** Waits until the process sleeps in a read: it has taken all there was. */
function waitUntilBlocked(int $pid): void
{
    if (!is_readable("/proc/$pid/stat")) {
        throw new Skipped('needs /proc to see that the worker waits');
    }
    $deadline = microtime(true) + 10;
    do {
        $state = explode(' ', (string) substr(strrchr((string) file_get_contents("/proc/$pid/stat"), ')'), 2))[0];
        $call = (string) @file_get_contents("/proc/$pid/syscall");
        // System call 0 (63 on arm64) is read, its first argument the descriptor.
        if ($state === 'S' && ($call === '' || preg_match('/^(0|63) 0x0 /', $call) === 1)) {
            return;
        }
    } while (microtime(true) < $deadline);
    throw new Failed("the worker never waited for input (state $state, call $call)");
}
