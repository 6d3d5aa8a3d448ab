<?php

declare(strict_types=1);

namespace Rrctl\Tests;

use Rrctl\Exception\RelayException;
use Rrctl\Relays;
use Rrctl\SocketRelay;
use Rrctl\StreamRelay;

function overSocket(string $listen, string $relay): void
{
    $listener = stream_socket_server($listen, $code, $text);
    if ($relay === '') {
        $relay = 'tcp://' . stream_socket_get_name($listener, false);
    }
    $peer = Peer::startOnSocket(BEHAVIOURS, $listener, $relay);
    ok(!$peer->hasMore(0.1), 'the worker says nothing until it is spoken to');
    $peer->write(vector('boot.pipes.rr2024.pid.request'));
    same('{"pid":' . $peer->pid() . '}', $peer->read()['body']);
    $peer->write(vector('boot.unix.exec.request'));
    same(vector('boot.unix.exec.request'), $peer->read()['bytes']);
    $body = 'measure ' . random_bytes(1_000_000);
    same('0 ' . md5($body), $peer->execute('', $body)['body']);

    // No PING over sockets; a STOP is seen before the next piece.
    $peer->write(Peer::pack('', 'stream 12'));
    same([...array_fill(0, 12, 1), 0], array_column($peer->readStream(), 2), 'stream bits');
    $peer->write(Peer::pack('', 'stream 1000000'));
    same('piece 1', $peer->read()['body']);
    $peer->write(vector('stream.rr2024.stop.stop'));
    $frames = $peer->readStream(1_000_000);
    ok(count($frames) < 1_000_000, 'the stream ended early');
    same(['', '', 0], end($frames));

    same('printed', $peer->execute('', 'print')['body']);
    $peer->write(vector('control.rr2024.stop'));
    same(0, $peer->exitCode());
}

return [
    'RR_RELAY names the relay' => function (): void {
        ok(Relays::fromAddress('pipes') instanceof StreamRelay, 'pipes');
        ok(Relays::fromAddress('pipes')->needsPing(), 'pipes need PING');
        ok(Relays::fromAddress('pipes://stdin:stdout') instanceof StreamRelay, 'pipes with names');
        foreach (['unix:///tmp/x.sock', 'unix://x.sock', 'tcp://127.0.0.1:6001', 'TCP://localhost:1', 'tcp://[::1]:6001'] as $address) {
            ok(Relays::fromAddress($address) instanceof SocketRelay, $address);
        }
        foreach (['', 'tcp://:6001', 'tcp://host', 'tcp://host:', 'tcp4://h:1', 'unix://', '/tmp/x', 'pipe'] as $address) {
            throws(RelayException::class, fn () => Relays::fromAddress($address), "\"$address\"");
        }
    },
    'a socket relay does not connect before the first frame is wanted' => function (): void {
        $relay = new SocketRelay('unix:///nowhere/at/all.sock');
        same(false, $relay->pending());
        throws(RelayException::class, fn () => $relay->receive(), 'unix:///nowhere/at/all.sock');
    },
    'frames over a unix socket' => function (): void {
        $path = sys_get_temp_dir() . '/rrctl-test-' . getmypid() . '.sock';
        try {
            overSocket("unix://$path", "unix://$path");
        } finally {
            @unlink($path);
        }
    },
    'frames over tcp' => fn () => overSocket('tcp://127.0.0.1:0', ''),
];
