<?php

declare(strict_types=1);

namespace Rrctl\Tests;

return [
    'pieces carry STREAM, the first one the head, the last frame is empty and has none' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 3'));
        same([['head', 'piece 1', 1], ['', 'piece 2', 1], ['', 'piece 3', 1], ['', '', 0]], $peer->readStream());
        same('next', $peer->execute('', 'next')['body']);
        contains('whole: true', $peer->log());
    },
    'a stream without pieces is one frame with the head' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 0'));
        same([['head', '', 0]], $peer->readStream());
    },
    'over pipes frames 6, 11 and 16 carry PING and the worker waits for PONG' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 17'));
        $pings = [];
        for ($number = 1; $number <= 18; $number++) {
            $frame = $peer->read();
            if ($frame['bits'] & 4) {
                $pings[] = $number;
                ok(!$peer->hasMore(), "nothing follows PING $number before its answer");
                $peer->write(vector('stream.rr2024.ping.pong'));
            }
        }
        same([6, 11, 16], $pings);
        same(0, $frame['bits'], 'last frame');
    },
    'STOP instead of PONG ends the generator, one empty frame follows' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 1000'));
        do {
            $frame = $peer->read();
        } while (!($frame['bits'] & 4));
        $peer->write(vector('stream.rr2024.stop.stop'));
        $last = $peer->read();
        same(['', '', 0], [$last['context'], $last['body'], $last['bits']]);
        same('next', $peer->execute('', 'next')['body']);
        contains("generator ended\nwhole: false", $peer->log());
    },
    'a STOP that comes too late does not disturb the next request' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 2'));
        $peer->readStream();
        $peer->write(vector('stream.rr2024.stop.stop') . Peer::pack('', 'next'));
        same('next', $peer->read()['body']);
    },
    'a generator that throws ends the stream; before the first piece an error is still possible' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream-throw 1'));
        same([['', 'piece 1', 1], ['', '', 0]], $peer->readStream());
        $frame = $peer->execute('', 'stream-throw 0');
        same([0x40, 'in the generator'], [$frame['flags'], $frame['body']]);
        same('next', $peer->execute('', 'next')['body']);
    },
    'the server gone in the middle of a stream ends the worker' => function (): void {
        $peer = Peer::start(BEHAVIOURS);
        $peer->write(Peer::pack('', 'stream 6'));
        for ($number = 1; $number <= 6; $number++) {
            $peer->read();
        }
        $peer->hangUp();
        same(255, $peer->exitCode());
        contains('closed the relay in the middle of a streamed reply', $peer->log());
    },
];
