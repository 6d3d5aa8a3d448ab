<?php

declare(strict_types=1);

namespace Rrctl\Tests;

use Rrctl\Exception\ProtocolException;
use Rrctl\Exception\RelayException;
use Rrctl\Frame;
use Rrctl\StreamRelay;

/** A relay whose input holds the bytes and ends after them. */
function relayWith(string $bytes): StreamRelay
{
    [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    fwrite($ours, $bytes);
    stream_socket_shutdown($ours, STREAM_SHUT_WR);

    return new StreamRelay($theirs, $theirs);
}

function fields(?Frame $frame): ?array
{
    return $frame === null ? null : [$frame->flags, $frame->streamBits, $frame->hasContext, $frame->context, $frame->body];
}

$packed = [
    'frame.one-option' => fn () => Frame::pack('a', 'b'),
    'frame.codec-json' => fn () => Frame::pack('', 'p', Frame::CODEC_JSON),
    'frame.codec-proto' => fn () => Frame::pack('', 'p', Frame::CODEC_PROTOBUF),
    'frame.stream' => fn () => Frame::pack('', 'chunk', 0, Frame::STREAM),
    'frame.ping' => fn () => Frame::pack('', 'chunk', 0, Frame::STREAM | Frame::PING),
    'frame.len-256' => fn () => Frame::pack('', str_repeat('a', 256)),
    'frame.utf8' => fn () => Frame::pack('те', 'ст'),
    'frame.empty' => fn () => Frame::packPlain('', 0),
    'frame.flags-error' => fn () => Frame::packPlain('boom', Frame::ERROR),
    'frame.flags-control' => fn () => Frame::packPlain('{"pid":1}', Frame::CONTROL),
    'frame.pong' => fn () => Frame::packPlain('', 0, Frame::PONG),
    'exec.both-empty.reply' => fn () => Frame::pack('', ''),
    'exec.worker-stop.reply' => fn () => Frame::pack('{"stop":true}', ''),
    'exec.reply-header-only.reply' => fn () => Frame::pack('H', ''),
];
$tests = [];
foreach ($packed as $name => $pack) {
    $tests["packs $name"] = fn () => same(bin2hex(vector($name)), bin2hex($pack()));
}

$read = [
    'frame.empty' => [0, 0, false, '', ''],
    'frame.one-option' => [0, 0, true, 'a', 'b'],
    'frame.flags-error' => [0x40, 0, false, '', 'boom'],
    'frame.flags-control' => [0x01, 0, false, '', '{"pid":1}'],
    'frame.codec-proto' => [0x80, 0, true, '', 'p'],
    'frame.ping' => [0, 5, true, '', 'chunk'],
    'frame.option-max' => [0, 0, true, 'x', ''],
    'malformed.rr2024.two-options' => [0, 0, true, 'he', 'llo'],
    'malformed.rr2024.ctx-too-long' => [0, 0, true, 'hello', ''],
    'malformed.rr2024.error-flag-to-worker' => [0x40, 0, true, '', 'hello'],
];
foreach ($read as $name => $expected) {
    $tests["reads $name"] = function () use ($name, $expected): void {
        $relay = relayWith(vector($name));
        same($expected, fields($relay->receive()));
        same(null, $relay->receive(), 'after the end');
    };
}

return $tests + [
    'reads several frames that arrive as one, of every size around the buffer' => function (): void {
        foreach ([0, 1, 8170, 8175, 8176, 8177, 8191, 8192, 8193, 20000] as $bytes) {
            $first = Frame::pack('context', str_repeat('b', $bytes));
            $relay = relayWith($first . vector('frame.pong') . Frame::pack(str_repeat('c', $bytes), 'body') . vector('frame.one-option'));
            same(['context', $bytes], [($frame = $relay->receive())->context, strlen($frame->body)], "body of $bytes");
            same([0, 8, false, '', ''], fields($relay->receive()), 'the bare PONG behind it');
            same([$bytes, 'body'], [strlen(($frame = $relay->receive())->context), $frame->body], "context of $bytes");
            same([0, 0, true, 'a', 'b'], fields($relay->receive()));
            same(null, $relay->receive());
        }
    },
    'refuses what is not a frame and says what came' => function (): void {
        throws(ProtocolException::class, fn () => relayWith(vector('malformed.rr2024.bad-crc'))->receive(), '0x1400');
        throws(ProtocolException::class, fn () => relayWith(vector('malformed.rr2024.hl2'))->receive(), '0x1200');
        throws(ProtocolException::class, fn () => relayWith("<h1>Hello</h1>\n and more")->receive(), '"<h1>Hello</h1>\n');
    },
    'an end inside a frame is an error, wherever it is' => function (): void {
        $frame = Frame::pack('context', str_repeat('b', 10000));
        foreach ([1, 11, 12, 15, 16, 20, 23, 24, 9000, strlen($frame) - 1] as $bytes) {
            throws(RelayException::class, fn () => relayWith(substr($frame, 0, $bytes))->receive(), 'bytes missing');
        }
    },
];
