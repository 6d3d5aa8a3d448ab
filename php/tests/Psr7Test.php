<?php

declare(strict_types=1);

namespace Rrctl\Tests;

const PSR7_WORKER = __DIR__ . '/fixtures/psr7.php';

/** An autoloader with nyholm/psr7, and guzzlehttp/psr7 for the tests of that: ours, or the one that PSR7_AUTOLOAD names. */
function psr7Autoload(string $package): string
{
    foreach ([(string) getenv('PSR7_AUTOLOAD'), __DIR__ . '/../vendor/autoload.php'] as $file) {
        if ($file !== '' && is_file($file) && is_dir(dirname($file) . "/$package")) {
            return (string) realpath($file);
        }
    }
    throw new Skipped("$package is not installed: run `composer require --dev $package` in php/, or set PSR7_AUTOLOAD");
}

function psr7Worker(string $factory, string $package, array $environment = []): Peer
{
    return Peer::start(PSR7_WORKER, ['PSR7_AUTOLOAD' => psr7Autoload($package), 'FACTORY' => $factory] + $environment);
}

$tests = [];
foreach (['get', 'form', 'attributes'] as $name) {
    $tests["a request is what the official library makes of it: $name"] = function () use ($name): void {
        $peer = psr7Worker('nyholm', 'nyholm/psr7');
        $expected = vector("http.json.rr2024.$name.reply");
        $expected = json_decode(substr($expected, 16 + strlen(contextOf($expected))), true) + ['time' => true];
        $peer->write(vector("http.json.rr2024.$name.request"));
        $reply = $peer->httpReply();
        same(sorted($expected), sorted(json_decode($reply['body'], true)));
        same([200, ['Content-Type' => ['application/json']]], [$reply['status'], $reply['headers']]);
        if ($name !== 'attributes') {
            $peer->write(vector("http.proto.rr2024.$name.request"));
            same($reply['body'], $peer->read()['body'], 'from protobuf');
        }
    };
}

return $tests + [
    'guzzlehttp/psr7 does as well' => function (): void {
        $peer = psr7Worker('guzzle', 'guzzlehttp/psr7');
        $peer->write(vector('http.json.rr2024.http2.request'));
        $request = json_decode($peer->httpReply()['body'], true);
        same(['GET', '2', ['sid' => 'abc def']], [$request['method'], $request['protocol'], $request['cookies']]);
        same(['status' => 500], array_intersect_key($peer->http(['uri' => 'http://h/throw']), ['status' => 0]));
    },
    'uploaded files' => function (): void {
        $peer = psr7Worker('nyholm', 'nyholm/psr7');
        $file = tempnam(sys_get_temp_dir(), 'rrctl-test');
        file_put_contents($file, 'file one');
        try {
            $leaf = ['name' => 'a.txt', 'mime' => 'text/plain', 'size' => 8, 'error' => 0, 'tmpName' => $file];
            $refused = ['name' => 'c.exe', 'mime' => 'text/plain', 'size' => 0, 'error' => 8, 'tmpName' => ''];
            $gone = ['tmpName' => '/nowhere/upload1'] + $leaf;
            $reply = $peer->http([
                'method' => 'POST',
                'parsed' => true,
                'uploads' => ['one' => $leaf, 'many' => [$leaf, $refused], 'nest' => ['tmpName' => $gone]],
            ], '{"f":"1"}');
            $arrived = ['content' => 'file one', 'error' => 0, 'mime' => 'text/plain', 'name' => 'a.txt', 'size' => 8];
            $forbidden = ['content' => null, 'error' => 8, 'mime' => 'text/plain', 'name' => 'c.exe', 'size' => 0];
            $lost = ['content' => null, 'error' => 7] + $arrived;
            same(
                ['many' => [$arrived, $forbidden], 'nest' => ['tmpName' => $lost], 'one' => $arrived],
                sorted(json_decode($reply['body'], true)['uploads']),
            );
        } finally {
            unlink($file);
        }
    },
    'a large body goes in pieces' => function (): void {
        $peer = psr7Worker('nyholm', 'nyholm/psr7', ['CHUNK' => '65536']);
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://h/large']), ''));
        $frames = $peer->readStream();
        same([65536, 65536, 65536, 3392, 0], array_map(strlen(...), array_column($frames, 1)));
        same(str_repeat('0123456789', 20_000), implode(array_column($frames, 1)));
        $peer = psr7Worker('nyholm', 'nyholm/psr7', ['CHUNK' => '-1']);
        same([200_000, 0], [strlen(($reply = $peer->http(['uri' => 'http://h/large']))['body']), $reply['bits']], 'chunkSize off');
    },
    'an exception becomes status 500, a request the library refuses status 400' => function (): void {
        $peer = psr7Worker('nyholm', 'nyholm/psr7');
        same(500, $peer->http(['uri' => 'http://h/throw'])['status']);
        same(400, $peer->http(['uri' => 'http://h:99999999/'])['status']);
        same(400, $peer->http(['headers' => ["a\nb" => ['x']]])['status']);
        same(200, $peer->http([])['status']);
        contains('thrown in the handler', $peer->log());
    },
    'the example says what it needs' => function (): void {
        $peer = Peer::start(__DIR__ . '/../examples/psr7.php', directory: sys_get_temp_dir());
        if (is_dir(__DIR__ . '/../vendor/nyholm/psr7')) {
            throw new Skipped('nyholm/psr7 is installed here, so the example runs');
        }
        same(1, $peer->exitCode());
        contains('composer require nyholm/psr7', $peer->log());
    },
    'the example answers' => function (): void {
        $directory = dirname(psr7Autoload('nyholm/psr7'), 2);
        $peer = Peer::start(__DIR__ . '/../examples/psr7.php', directory: $directory);
        same("GET /path\n", $peer->http(['uri' => 'http://h/path'])['body']);
    },
    'without a library the worker names what to install' => function (): void {
        throws(\LogicException::class, function (): void {
            foreach (spl_autoload_functions() as $loader) {
                if ((new \ReflectionFunction($loader))->getFileName() !== realpath(__DIR__ . '/../autoload.php')) {
                    throw new Skipped('another autoloader is registered in this process');
                }
            }
            \Rrctl\Http\Psr17Factories::detect();
        }, 'composer require nyholm/psr7');
    },
];
