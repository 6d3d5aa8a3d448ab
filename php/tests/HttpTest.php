<?php

declare(strict_types=1);

namespace Rrctl\Tests;

use Rrctl\Exception\ProtocolException;
use Rrctl\Http\JsonContext;
use Rrctl\Http\ProtobufContext;
use Rrctl\Http\Request;

const HTTP_WORKER = __DIR__ . '/fixtures/http.php';

$tests = [];
foreach (['get', 'post-raw', 'form', 'form-empty', 'uploads', 'http2', 'numeric-header', 'binary'] as $name) {
    $tests["$name: the same request from JSON and from protobuf"] = function () use ($name): void {
        $peer = Peer::start(HTTP_WORKER);
        $peer->write(vector("http.json.rr2024.$name.request"));
        $json = $peer->read();
        $peer->write(vector("http.proto.rr2024.$name.request"));
        $proto = $peer->read();
        same([0x08, 0x80], [$json['flags'], $proto['flags']], 'codec of the replies');
        same($json['body'], $proto['body']);
        same('{"status":200,"headers":{"Content-Type":["application/json"]}}', $json['context']);
        same(bin2hex(contextOf(vector('http.proto.rr2024.get.reply'))), bin2hex($proto['context']));
    };
}
foreach (['trailers', 'empty', 'bad-status', 'push'] as $name) {
    $tests["response $name as the official library writes it"] = function () use ($name): void {
        $peer = Peer::start(HTTP_WORKER);
        $uri = ['uri' => "http://h/$name"];
        $json = $peer->execute(Peer::context($uri), '');
        $expected = vector("http.json.rr2024.resp-$name.reply");
        same(json_decode(contextOf($expected)) == json_decode($json['context']), true, "head {$json['context']}");
        contains('"headers":{', $json['context']);
        same(substr($expected, 16 + strlen(contextOf($expected))), $json['body']);
        $proto = $peer->execute("\x1a\x03GET\x22" . chr(strlen($uri['uri'])) . $uri['uri'], '', 0x80);
        same(bin2hex(vector("http.proto.rr2024.resp-$name.reply")), bin2hex($proto['bytes']));
    };
}

return $tests + [
    'all fields of a request' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        $peer->write(vector('http.json.rr2024.get.request'));
        same([
            'method' => 'GET',
            'uri' => 'http://example.com:8080/path?a=1&b[]=x',
            'path' => '/path',
            'protocol' => 'HTTP/1.1',
            'remoteAddr' => '10.1.2.3',
            'headers' => ['User-Agent' => ['curl/8'], 'X-Multi' => ['one', 'two']],
            'cookies' => ['sid' => 'abc def'],
            'query' => ['a' => '1', 'b' => ['x', 'y'], 'c' => ['k' => ['z' => 'w']]],
            'parsed' => false,
            'form' => [],
            'body' => '',
            'uploads' => [],
            'attributes' => [],
        ], json_decode($peer->read()['body'], true));
    },
    'a form that the server parsed' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        foreach (['json', 'proto'] as $encoding) {
            $peer->write(vector("http.$encoding.rr2024.form.request"));
            $request = json_decode($peer->read()['body'], true);
            same([true, ['arr' => ['1', '2'], 'name' => 'v', 't' => ['x' => 'y']]], [$request['parsed'], $request['form']]);
        }
        $frame = $peer->execute("\x1a\x04POST\x22\x09http://h/\x40\x01", '', 0x80);
        same([true, []], [($request = json_decode($frame['body'], true))['parsed'], $request['form']], 'empty body');
    },
    'attributes, from plain JSON values and from protobuf lists' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        $peer->write(vector('http.json.rr2024.attributes.request'));
        same(['ipAddress' => '1.2.3.4', 'foo' => 'bar'], json_decode($peer->read()['body'], true)['attributes']);
        $peer->write(vector('http.proto.rr2024.attributes.request'));
        same(['ipAddress' => ['1.2.3.4'], 'foo' => ['bar']], json_decode($peer->read()['body'], true)['attributes']);
    },
    'the encodings may change from request to request' => function (): void {
        $peer = Peer::start(__DIR__ . '/../examples/hello.php');
        foreach (['json' => 0x08, 'proto' => 0x80, 'form' => 0x08] as $encoding => $flags) {
            $peer->write(vector($encoding === 'form' ? 'http.json.rr2024.form.request' : "http.$encoding.rr2024.get.request"));
            $frame = $peer->read();
            same([$flags, "Hello World!\n", 0], [$frame['flags'], $frame['body'], $frame['bits']]);
        }
    },
    'values of a response that are no UTF-8 do not lose the response' => function (): void {
        same(['X' => ["a\u{FFFD}"]], json_decode(JsonContext::encodeResponse(200, ['X' => ["a\xff"]]), true)['headers']);
        same('{"status":200,"headers":{"0":["x"]}}', JsonContext::encodeResponse(200, ['0' => ['x']]));
    },
    'protobuf: unknown fields are skipped, long ones and many read, damage is told' => function (): void {
        $long = str_repeat('v', 300);
        $value = "\x0a\xac\x02" . $long;
        $entry = "\x0a\x01X\x12" . chr(strlen($value) & 0x7F | 0x80) . chr(strlen($value) >> 7) . $value;
        $request = "\xa0\x06\x05" . "\xa5\x06abcd" . "\xa1\x06abcdefgh" . "\xa2\x06\x03xyz"
            . "\x1a\x03PUT\x22\x01/" . "\x2a" . chr(strlen($entry) & 0x7F | 0x80) . chr(strlen($entry) >> 7) . $entry
            . "\x2a\x07\x0a\x01Y\x12\x02\x0a\x00" . "\x2a\x05\x0a\x01Z\x12\x00" . "\x2a\x06\x12\x04\x0a\x02ab" . "\x40\x01";
        $fields = ProtobufContext::decodeRequest($request);
        same(['PUT', '/', true], [$fields['method'], $fields['uri'], $fields['parsed']]);
        same(['X' => [$long], 'Y' => [''], 'Z' => [], '' => ['ab']], $fields['headers']);
        foreach (["\x1a\x09GET", "\x1a", "\x2a\x04\x0a\x09ab", "\xff", "\x0b", "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] as $damaged) {
            throws(ProtocolException::class, fn () => ProtobufContext::decodeRequest($damaged), 'protobuf context');
        }
        same(0, strlen(ProtobufContext::encodeResponse(0, [])));
        same(bin2hex("\x08\xc8\x01\x12\x0a\x0a\x01X\x12\x05\x0a\x00\x0a\x01a"), bin2hex(ProtobufContext::encodeResponse(200, ['X' => ['', 'a']])));
        $big = ProtobufContext::encodeResponse(200, ['X' => [$long]]);
        same(bin2hex("\x12\xb5\x02\x0a\x01X\x12\xaf\x02\x0a\xac\x02" . $long), bin2hex(substr($big, 3)));
    },
    'a request is read only and knows its properties' => function (): void {
        $request = new Request(Peer::context(['uri' => 'https://h//a:80/%20?x#y', 'headers' => ['X-A' => ['1', '2']]]), '');
        same(['//a:80/%20', '1, 2', '', true, false], [$request->path, $request->header('x-a'), $request->header('no'), isset($request->query), isset($request->nothing)]);
        throws(\Error::class, fn () => $request->nothing, '"nothing"');
        throws(\Error::class, fn () => $request->method = 'X', 'read only');
        throws(ProtocolException::class, fn () => (new Request('no json', ''))->method, 'no json');
        foreach (['http://h' => '/', 'http://h?a=/b' => '/', '/only/path?x' => '/only/path', 'http://h/a?b/c' => '/a'] as $uri => $path) {
            same($path, (new Request(Peer::context(['uri' => $uri]), ''))->path, $uri);
        }
    },
    'a returned string is a page, nothing is an empty one' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        same(['status' => 200, 'headers' => ['Content-Type' => ['text/html; charset=utf-8']], 'body' => '<p>a page</p>', 'bits' => 0], $peer->http(['uri' => 'http://h/page']));
        same('', $peer->http(['uri' => 'http://h/nothing'])['body']);
    },
    'early hints come before the response' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        same(['status' => 103, 'headers' => ['Link' => ['</a.css>; rel=preload']], 'body' => '', 'bits' => 1], $peer->http(['uri' => 'http://h/hints']));
        same(['status' => 200, 'headers' => ['X' => ['y']], 'body' => 'body', 'bits' => 0], $peer->httpReply());
        $peer->http(['uri' => 'http://h/hints-throw']);
        same(500, $peer->httpReply()['status']);
        foreach ([99, 101, 200] as $status) {
            throws(\InvalidArgumentException::class, fn () => \Rrctl\Http\HttpWorker::create()->inform($status), "$status");
            ob_end_clean();
        }
    },
    'a response in pieces' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        foreach (['stream' => [200, ['one', 'two', '']], 'write' => [201, ['one', 'two', 'three']]] as $path => [$status, $pieces]) {
            $peer->write(Peer::pack(Peer::context(['uri' => "http://h/$path"]), ''));
            $frames = $peer->readStream();
            same(["{\"status\":$status,\"headers\":{\"X\":[\"y\"]}}", '', ''], array_column($frames, 0));
            same($pieces, array_column($frames, 1));
            same([1, 1, 0], array_column($frames, 2));
        }
    },
    'an exception becomes status 500 and a trace, the worker goes on' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        same(500, $peer->http(['uri' => 'http://h/throw'])['status']);
        same(500, $peer->http(['uri' => 'http://h/stream-throw-first'])['status']);
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://h/stream-throw']), ''));
        same(['one', ''], array_column($peer->readStream(), 1));
        same('answered', $peer->http(['uri' => 'http://h/respond-throw'])['body']);
        same(200, $peer->http(['uri' => 'http://h/x'])['status']);
        foreach (['uncaught in the handler', 'before the first piece', 'in the middle', 'after the answer', '#0 '] as $text) {
            contains($text, $peer->log());
        }
        same('', trim(preg_replace('/^.*(DomainException|#\d|Stack trace:).*$/m', '', $peer->log())), 'nothing else is logged');
    },
    'error() is an error frame' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        $frame = $peer->execute(Peer::context(['uri' => 'http://h/error']), '');
        same([0x40, 'soft'], [$frame['flags'], $frame['body']]);
    },
    'a context that cannot be read is one failed request' => function (): void {
        $peer = Peer::start(HTTP_WORKER);
        same(500, json_decode($peer->execute('{"broken', '')['context'], true)['status']);
        same(200, $peer->http([])['status']);
        contains('not a JSON object with method and uri', $peer->log());
    },
];
