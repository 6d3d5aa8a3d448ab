<?php

declare(strict_types=1);

namespace Rrctl\Tests;

const DEMO_WORKER = __DIR__ . '/../examples/demo/worker.php';

return [
    'the home page links to every route, and every link answers' => function (): void {
        $peer = Peer::start(DEMO_WORKER);
        $home = $peer->http([]);
        same([200, ['text/html; charset=utf-8']], [$home['status'], $home['headers']['Content-Type']]);
        same(9, preg_match_all('~<a href="(/[^"]+)"><code>~', $home['body'], $links));
        foreach (array_diff($links[1], ['/stream', '/error']) as $link) {
            $accept = ['Accept' => ['text/html']];
            same(200, $peer->http(['uri' => 'http://localhost' . str_replace('500', '1', $link), 'headers' => $accept])['status'], $link);
        }
        same(500, $peer->http(['uri' => 'http://localhost/error'])['status']);
        same(404, $peer->http(['uri' => 'http://localhost/<b>'])['status']);
        contains('This route always fails.', $peer->log());
    },
    '/json and /info' => function (): void {
        $peer = Peer::start(DEMO_WORKER);
        $json = json_decode($peer->http(['uri' => 'http://localhost/json?a=1', 'cookies' => ['c' => 'd']])['body'], true);
        same([['a' => '1'], ['c' => 'd'], $peer->pid()], [$json['query'], $json['cookies'], $json['pid']]);
        $info = json_decode($peer->http(['uri' => 'http://localhost/info'])['body'], true);
        same([$peer->pid(), 2, PHP_VERSION], [$info['pid'], $info['requests'], $info['php']]);
    },
    '/form shows what was sent, escaped' => function (): void {
        $peer = Peer::start(DEMO_WORKER);
        contains('<form', $peer->http(['uri' => 'http://localhost/form'])['body']);
        $page = $peer->http(['uri' => 'http://localhost/form', 'method' => 'POST', 'parsed' => true], '{"name":"<i>","likes":["tea","coffee"]}')['body'];
        contains('<th>name</th><td>&lt;i&gt;</td>', $page);
        contains('<th>likes[1]</th><td>coffee</td>', $page);
    },
    '/upload shows the files' => function (): void {
        $peer = Peer::start(DEMO_WORKER);
        $file = tempnam(sys_get_temp_dir(), 'rrctl-test');
        file_put_contents($file, 'content');
        try {
            $leaf = ['name' => '<a>.txt', 'mime' => 'text/plain', 'size' => 7, 'error' => 0, 'tmpName' => $file];
            $post = ['uri' => 'http://localhost/upload', 'method' => 'POST'];
            $page = $peer->http($post + ['parsed' => true, 'uploads' => ['files' => [$leaf, ['error' => 8, 'tmpName' => ''] + $leaf]]], '{}')['body'];
            contains('&lt;a&gt;.txt, text/plain, 7 bytes, SHA-1 ' . sha1('content'), $page);
            contains('upload error 8', $page);
            $nothing = $peer->http($post + ['parsed' => true, 'uploads' => ['files' => [['name' => '', 'error' => 4, 'tmpName' => ''] + $leaf]]], '{}');
            contains('<p>No file arrived.</p>', $nothing['body']);
            contains('the body came unparsed: 3 bytes', $peer->http($post, 'raw')['body']);
        } finally {
            unlink($file);
        }
    },
    '/stream and /events come in pieces, and end when the client goes away' => function (): void {
        foreach (['stream' => '<!doctype html>', 'events' => 'id: 1'] as $route => $start) {
            $peer = Peer::start(DEMO_WORKER);
            $peer->write(Peer::pack(Peer::context(['uri' => "http://localhost/$route"]), ''));
            $first = $peer->read();
            same([1, true], [$first['bits'], str_starts_with($first['body'], $start)]);
            $peer->write(vector('stream.rr2024.stop.stop'));
            $frames = $peer->readStream();
            ok(count($frames) <= 3, count($frames) . ' frames after the STOP');
            same(200, $peer->http([])['status']);
        }
    },
    '/events is ten ticks and an end' => function (): void {
        $peer = Peer::start(DEMO_WORKER);
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://localhost/events', 'headers' => ['Accept' => ['text/event-stream']]]), ''));
        $frames = $peer->readStream();
        same(12, count($frames));
        same(10, preg_match_all("/^id: \\d+\ndata: tick \\d+ at [\\d:]+\n\n/m", implode(array_column($frames, 1))));
    },
];
