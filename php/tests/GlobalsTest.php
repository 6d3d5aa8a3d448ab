<?php

declare(strict_types=1);

namespace Rrctl\Tests;

use Rrctl\Exception\StateException;
use Rrctl\Http\FunctionTakeover;
use Rrctl\Http\GlobalsWorker;
use Rrctl\Http\ScriptPath;

const SITE_WORKER = __DIR__ . '/fixtures/globals.php';

/** PHP's own web server over the same site: what a script sees there is what it shall see here. */
final class WebServer
{
    private static ?self $running = null;

    /** @param resource $process */
    private function __construct(private $process, public readonly int $port)
    {
    }

    public static function get(): self
    {
        if (self::$running === null) {
            $listener = stream_socket_server('tcp://127.0.0.1:0');
            $port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
            fclose($listener);
            $process = proc_open(
                [PHP_BINARY, '-S', "127.0.0.1:$port", '-t', __DIR__ . '/fixtures/site', __DIR__ . '/fixtures/site/index.php'],
                [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['pipe', 'w']],
                $pipes,
            );
            do {
                $line = fgets($pipes[2]);
            } while ($line !== false && !str_contains($line, 'started'));
            self::$running = new self($process, $port);
            register_shutdown_function(static function () use ($process): void {
                proc_terminate($process);
            });
        }

        return self::$running;
    }

    /** @return array{status: int, headers: array<string, list<string>>, body: string} */
    public function request(string $method, string $target, array $headers, string $body): array
    {
        $socket = stream_socket_client("tcp://127.0.0.1:{$this->port}", timeout: 5);
        $head = "$method $target HTTP/1.1\r\nHost: 127.0.0.1:{$this->port}\r\nConnection: close\r\n";
        foreach ($headers as $name => $value) {
            $head .= "$name: $value\r\n";
        }
        fwrite($socket, $head . ($body === '' ? '' : 'Content-Length: ' . strlen($body) . "\r\n") . "\r\n$body");
        [$head, $body] = explode("\r\n\r\n", (string) stream_get_contents($socket), 2);
        $lines = explode("\r\n", $head);
        $reply = ['status' => (int) explode(' ', array_shift($lines))[1], 'headers' => [], 'body' => $body];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2);
            if (!in_array($name, ['Host', 'Date', 'Connection', 'X-Powered-By'], true)) {
                $reply['headers'][strtolower($name)][] = trim($value);
            }
        }

        return $reply;
    }
}

/** The same request to PHP's web server and to a worker; both replies. */
function both(Peer $peer, string $method, string $target, array $headers = [], string $body = ''): array
{
    $server = WebServer::get();
    $expected = $server->request($method, $target, $headers, $body);
    $cookies = [];
    foreach (explode('; ', $headers['Cookie'] ?? '') as $pair) {
        [$name, $value] = explode('=', $pair, 2) + ['', ''];
        $cookies[$name] = urldecode($value);
    }
    unset($cookies['']);
    $reply = $peer->http([
        'remoteAddr' => '127.0.0.1',
        'method' => $method,
        'uri' => "http://127.0.0.1:{$server->port}$target",
        'headers' => array_map(static fn (string $value): array => [$value], $headers)
            + ($body === '' ? [] : ['Content-Length' => [(string) strlen($body)]]),
        'cookies' => $cookies,
    ], $body);
    $reply['headers'] = array_change_key_case($reply['headers']);
    unset($reply['bits'], $expected['headers']['content-length']);

    return [$expected, $reply];
}

function site(array $environment = [], array $options = []): Peer
{
    return Peer::start(SITE_WORKER, $environment, $options);
}

function act(Peer $peer, string $do, array $fields = [], string $body = ''): array
{
    return $peer->http(['uri' => "http://example.com/acts.php?do=$do"] + $fields, $body);
}

$tests = [];
foreach (
    ['location', 'location-201', 'location-301', 'type', 'type-json', 'type-charset', 'auth', 'http', 'code', 'multi', 'bad-header', 'cookies'] as $page
) {
    $tests["response as PHP's web server gives it: $page"] = function () use ($page): void {
        [$expected, $reply] = both(site(), 'GET', "/$page");
        foreach ([&$expected, &$reply] as &$side) {
            // Seconds since the epoch go into Max-Age.
            $side['headers']['set-cookie'] = preg_replace('/Max-Age=[1-9]\d+/', 'Max-Age=N', $side['headers']['set-cookie'] ?? []);
        }
        same(sorted($expected), sorted($reply));
    };
}
$requests = [
    'query' => ['GET', '/a%20b/c?a=1&b[]=x&b[]=y&c.d=1&a=2&e[x][]=1&e[x][]=2&f[g=1&[h]=2&%69=%2B+%2B&j&=k'],
    'no query' => ['GET', '/?'],
    'cookies' => ['GET', '/x', ['Cookie' => 'a.b=1; a_b=2; x=a+b%20c; x=2; arr[k]=v; arr[l]=w; %41=enc; novalue; q="s"; e=; f g=1']],
    'headers' => ['GET', '/x', ['X-Y-Z' => '1', 'Authorization' => 'Basic dTpwOnE=']],
    'form' => ['POST', '/x?a=1&z=0', ['Content-Type' => 'application/x-www-form-urlencoded'], 'f.g=1&h[]=1&h[]=2&i[][j]=1&i[][j]=2&k+l=3&a=2'],
    'form of another method' => ['PUT', '/x', ['Content-Type' => 'application/x-www-form-urlencoded'], 'a=1'],
    'JSON' => ['POST', '/x', ['Content-Type' => 'application/json'], '{"a":1}'],
];
foreach ($requests as $name => $request) {
    $tests["superglobals as in PHP's web server: $name"] = function () use ($request): void {
        [$expected, $reply] = both(site(), ...$request);
        $expected = json_decode($expected['body'], true);
        $expected['server'] += ['QUERY_STRING' => '']; // a CGI variable that must be there; this server leaves it out
        same(sorted($expected), sorted(json_decode($reply['body'], true)));
    };
}

return $tests + [
    'a form that the server parsed fills $_POST, and php://input is built again' => function (): void {
        $form = ['method' => 'POST', 'uri' => 'http://h/', 'parsed' => true, 'headers' => ['Content-Type' => ['application/x-www-form-urlencoded']]];
        $reply = json_decode(site()->http($form, '{"a.b":"1","h":["1","2"],"i":{"":{"j":"1"}},"n":{"0":"x","2":"y"}}')['body'], true);
        same(['a_b' => '1', 'h' => ['1', '2'], 'i' => [['j' => '1']], 'n' => ['x', 2 => 'y']], $reply['post']);
        same('a.b=1&h%5B0%5D=1&h%5B1%5D=2&i%5B%5D%5Bj%5D=1&n%5B0%5D=x&n%5B2%5D=y', $reply['input']);
    },
    'file inputs that were left empty are in $_FILES, and not in $_POST' => function (): void {
        $leaf = fn (string $name, int $error = 0): array => ['name' => $name, 'mime' => '', 'size' => 0, 'error' => $error, 'tmpName' => ''];
        $reply = json_decode(site()->http([
            'method' => 'POST',
            'parsed' => true,
            'headers' => ['Content-Type' => ['multipart/form-data; boundary=x']],
            'uploads' => ['l' => [$leaf('a.txt', 8)]],
            'fileInputs' => [
                'files' => ['f' => $leaf('', 4), 'l' => [$leaf('', 4), $leaf('a.txt', 8), $leaf('', 4)], 'd' => ['e' => ['x' => $leaf('', 4)]]],
                'texts' => [['f'], ['l', '0'], ['l', '1'], ['d', 'e', 'x'], ['m', '1']],
            ],
        ], '{"t":"1","m":["1",""],"f":"","l":["",""],"d":{"e":{"x":""},"g":"2"}}')['body'], true);
        same(['t' => '1', 'm' => ['1'], 'd' => ['g' => '2']], $reply['post']);
        same(['f' => 4, 'l' => [4, 8, 4], 'd' => ['e' => ['x' => 4]]], array_map(fn (array $file): mixed => $file['error'], $reply['files']));
        same(['', 'a.txt', ''], $reply['files']['l']['name']);
    },
    '$_FILES has the shape that PHP gives it' => function (): void {
        $leaf = fn (string $name, int $error = 0): array => ['name' => $name, 'mime' => 'text/x', 'size' => 5, 'error' => $error, 'tmpName' => "/tmp/$name"];
        $reply = site()->http([
            'method' => 'POST',
            'parsed' => true,
            'headers' => ['Content-Type' => ['multipart/form-data; boundary=x']],
            'uploads' => ['f' => $leaf('a.txt'), 'm' => [$leaf('b.txt'), $leaf('c.txt', 8)], 'n' => ['a' => ['b' => $leaf('d.txt')]]],
        ], '{"z":"1"}');
        $reply = json_decode($reply['body'], true);
        same([
            'f' => ['name' => 'a.txt', 'full_path' => 'a.txt', 'type' => 'text/x', 'tmp_name' => '/tmp/a.txt', 'error' => 0, 'size' => 5],
            'm' => [
                'name' => ['b.txt', 'c.txt'],
                'full_path' => ['b.txt', 'c.txt'],
                'type' => ['text/x', 'text/x'],
                'tmp_name' => ['/tmp/b.txt', '/tmp/c.txt'],
                'error' => [0, 8],
                'size' => [5, 5],
            ],
            'n' => [
                'name' => ['a' => ['b' => 'd.txt']],
                'full_path' => ['a' => ['b' => 'd.txt']],
                'type' => ['a' => ['b' => 'text/x']],
                'tmp_name' => ['a' => ['b' => '/tmp/d.txt']],
                'error' => ['a' => ['b' => 0]],
                'size' => ['a' => ['b' => 5]],
            ],
        ], $reply['files']);
        same([['z' => '1'], ''], [$reply['post'], $reply['input']]);
    },
    'is_uploaded_file() and move_uploaded_file() know the files of the request' => function (): void {
        $from = tempnam(sys_get_temp_dir(), 'rrctl-test');
        $to = "$from.moved";
        file_put_contents($from, 'content');
        $leaf = ['name' => 'a.txt', 'mime' => 'text/plain', 'size' => 7, 'error' => 0, 'tmpName' => $from];
        try {
            $reply = act(site(), 'upload&to=' . urlencode($to), ['method' => 'POST', 'parsed' => true, 'uploads' => ['f' => $leaf]], '{}');
            same([true, false, false, true, 'content', false], json_decode($reply['body'], true));
            ok(!file_exists($from), 'the temporary file was moved');
        } finally {
            @unlink($from);
            @unlink($to);
        }
    },
    '$_SERVER of a request' => function (): void {
        $peer = site(['HTTP_FROM_ENVIRONMENT' => 'x', 'FROM_ENVIRONMENT' => 'y']);
        $get = fn (array $fields): array => json_decode($peer->http($fields)['body'], true);
        $root = realpath(__DIR__ . '/fixtures/site');
        $server = $get(['uri' => 'https://[::1]/server.php/more/path?a=1', 'headers' => ['Proxy' => ['evil'], 'X-Multi' => ['a', 'b']]]);
        same(
            ['[::1]', '443', 'on', 'https', '/server.php/more/path?a=1', '/server.php', "$root/server.php", '/more/path', '/server.php/more/path', 'a, b', 'y', $root, []],
            [
                $server['SERVER_NAME'], $server['SERVER_PORT'], $server['HTTPS'], $server['REQUEST_SCHEME'], $server['REQUEST_URI'], $server['SCRIPT_NAME'],
                $server['SCRIPT_FILENAME'], $server['PATH_INFO'], $server['PHP_SELF'], $server['HTTP_X_MULTI'], $server['FROM_ENVIRONMENT'], $server['cwd'], $server['variables'],
            ],
        );
        same([false, false, false], [isset($server['HTTP_PROXY']), isset($server['HTTP_FROM_ENVIRONMENT']), $server['argv_seen']]);
        $server = $get(['uri' => 'http://example.com/server.php', 'protocol' => 'HTTP/2.0']);
        same(['example.com', '80', 'HTTP/2.0', false, false], [$server['SERVER_NAME'], $server['SERVER_PORT'], $server['SERVER_PROTOCOL'], isset($server['HTTPS']), isset($server['PATH_INFO'])]);
        ok(is_int($server['REQUEST_TIME']) && abs($server['REQUEST_TIME_FLOAT'] - microtime(true)) < 60, 'time of the request');
    },
    'the path chooses the script, and never one outside' => function (): void {
        $root = realpath(__DIR__ . '/fixtures/site');
        $expected = [
            '/' => ['/index.php', ''],
            '/acts.php' => ['/acts.php', ''],
            '//acts.php' => ['/acts.php', ''],
            '/%61cts.php' => ['/acts.php', ''],
            '/acts.php/a/b' => ['/acts.php', '/a/b'],
            '/sub' => ['/sub/index.php', ''],
            '/sub/' => ['/sub/index.php', ''],
            '/sub/index.php' => ['/sub/index.php', ''],
            '/no/such' => ['/index.php', ''],
            '/no.php' => ['/index.php', ''],
            '/broken.inc' => ['/index.php', ''],
            '/.hidden.php' => ['/index.php', ''],
            '/../globals.php' => ['/index.php', ''],
            '/sub/%2e%2e/acts.php' => ['/index.php', ''],
            "/acts.php%00" => ['/index.php', ''],
        ];
        foreach ($expected as $path => $script) {
            same($script, ScriptPath::find($root, $path), $path);
        }
        same(['', ''], ScriptPath::find("$root/sub/..", '/') === ['/index.php', ''] ? ScriptPath::find(__DIR__, '/') : null);
        same('sub /sub/index.php - /sub/index.php', site()->http(['uri' => 'http://h/sub/'])['body']);
    },
    'exit() answers the request; the next one goes to another worker' => function (): void {
        $peer = site();
        $reply = act($peer, 'exit');
        same([201, ['before exit'], 'before exit and shutdown'], [$reply['status'], $reply['headers']['X-A'], $reply['body']]);
        $frame = $peer->execute(Peer::context([]), '');
        same(['{"stop":true}', ''], [$frame['context'], $frame['body']]);
        same(0, $peer->exitCode());
        $peer = site();
        act($peer, 'exit');
        $peer->write(vector('control.rr2024.stop'));
        same(0, $peer->exitCode());
    },
    'a fatal error becomes status 500 and is logged; the next request goes to another worker' => function (): void {
        $peer = site([], ['-d', 'memory_limit=64M']);
        $reply = act($peer, 'fatal');
        same([500, "Internal Server Error\n"], [$reply['status'], $reply['body']]);
        same('{"stop":true}', $peer->execute(Peer::context([]), '')['context']);
        same(255, $peer->exitCode());
        contains('Allowed memory size', $peer->log());
    },
    'exceptions and parse errors become status 500, the worker goes on; warnings are logged' => function (): void {
        $peer = site();
        same(500, act($peer, 'throw')['status']);
        same(500, act($peer, 'parse')['status']);
        $reply = act($peer, 'warning');
        same([200, 'ab', ['still']], [$reply['status'], $reply['body'], $reply['headers']['X-A']]);
        foreach (['DomainException: thrown in the script', 'ParseError', 'Undefined variable $undefined'] as $text) {
            contains($text, $peer->log());
        }
    },
    'flush() sends what was printed' => function (): void {
        $peer = site();
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://h/acts.php?do=flush']), ''));
        $frames = $peer->readStream();
        same([['one', 1], ['two', 1], ['three', 0]], array_map(static fn (array $frame): array => [$frame[1], $frame[2]], $frames));
        same([['X-A' => ['1'], 'Content-Type' => ['text/html; charset=UTF-8']], ''], [json_decode($frames[0][0], true)['headers'], $frames[1][0]]);
    },
    'much output is sent while the script runs' => function (): void {
        $peer = site(['BUFFER_BYTES' => '10000']);
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://h/acts.php?do=big']), ''));
        $frames = $peer->readStream();
        same(str_repeat('x', 40_000), implode(array_column($frames, 1)));
        same([1, 1, 1, 1, 0], array_column($frames, 2));
    },
    'output buffers of the script: left open, closed, closed with ours' => function (): void {
        $peer = site();
        same('innerMORE', act($peer, 'nested')['body']);
        same('kept', act($peer, 'clean')['body']);
        $reply = act($peer, 'clean-all');
        same(['kept output <?php', ['1']], [substr($reply['body'], 0, 17), $reply['headers']['X-A']]);
        same('kept', act($peer, 'clean')['body']);
        $peer->write(Peer::pack(Peer::context(['uri' => 'http://h/acts.php?do=clean-flush']), ''));
        same(['one', 'two', 'three'], array_column($peer->readStream(), 1));
        same('to standard output', act($peer, 'stdout')['body']);
        same("from a child\n", act($peer, 'child')['body']);
        same('ab', act($peer, 'warning')['body']);
    },
    'a script whose client went away ends at its next flush(), or learns of it' => function (): void {
        foreach (['forever' => false, 'aborted' => true] as $do => $cleansUp) {
            $peer = site();
            $peer->write(Peer::pack(Peer::context(['uri' => "http://h/acts.php?do=$do"]), ''));
            same('tick', $peer->read()['body']);
            $peer->write(vector('stream.rr2024.stop.stop'));
            $frames = $peer->readStream(10_000);
            same(0, end($frames)[2], 'the last frame');
            same(200, act($peer, 'warning')['status']);
            same($cleansUp, str_contains($peer->log(), 'cleaned up'));
        }
    },
    'fastcgi_finish_request() answers at once' => function (): void {
        $peer = site();
        same('early', act($peer, 'finish')['body']);
        same('ab', act($peer, 'warning')['body']);
        contains('worked on', $peer->log());
    },
    'header_register_callback() may still add headers' => function (): void {
        same(['yes'], act(site(), 'callback')['headers']['X-Late']);
    },
    'sessions: each visitor has their own' => function (): void {
        if (!extension_loaded('session')) {
            throw new Skipped('the session extension is not loaded');
        }
        $directory = sys_get_temp_dir() . '/rrctl-test-sessions-' . getmypid();
        mkdir($directory);
        try {
            foreach (['session' => 'PHPSESSID', 'session-name' => 'APP'] as $do => $name) {
                $peer = site([], ['-d', "session.save_path=$directory"]);
                $visit = fn (?string $id): array => act($peer, $do, $id === null ? [] : ['cookies' => [$name => $id], 'headers' => ['Cookie' => ["$name=$id"]]]);
                $first = $visit(null);
                same(1, preg_match("/^$name=([\\w,-]+); path=\\/$/", $first['headers']['Set-Cookie'][0], $match), $first['headers']['Set-Cookie'][0]);
                same(['no-cache'], $first['headers']['Pragma']);
                $other = $visit(null);
                same(['1', '1'], [$first['body'], $other['body']], 'first visits');
                ok($first['headers']['Set-Cookie'] !== $other['headers']['Set-Cookie'], 'two visitors, two sessions');
                $again = $visit($match[1]);
                same(['2', false], [$again['body'], isset($again['headers']['Set-Cookie'])], 'second visit');
                same('1', $visit('../../etc/passwd')['body'], 'an id that is none');
                same([false, 'no id'], json_decode(act($peer, 'no-session')['body'], true));
                same('3', $visit($match[1])['body']);
                $peer = site([], ['-d', "session.save_path=$directory"]);
                same('4', $visit($match[1])['body'], 'first request of another worker');
            }
        } finally {
            array_map(unlink(...), glob("$directory/*"));
            rmdir($directory);
        }
    },
    'php://input and the other php:// streams' => function (): void {
        $reply = act(site(), 'memory-stream', ['method' => 'POST'], 'abcdef');
        same(["written to memory\n", 'line two', 'cd', false, 'ef', true, 3, 'ABC', true], json_decode($reply['body'], true));
        $peer = site();
        same(['body', '', 'again'], array_map(fn (string $body): string => $peer->http(['uri' => 'http://h/input', 'method' => 'POST'], $body)['body'], ['body', '', 'again']));
    },
    'filter_input() and getallheaders() see the request' => function (): void {
        $peer = site();
        same([5, false, null, true, false], json_decode(act($peer, 'filter&n=5')['body'], true));
        same(['Host' => 'example.com', 'X-A' => '1, 2'], json_decode(act($peer, 'headers', ['headers' => ['X-A' => ['1', '2']]])['body'], true));
    },
    'directory and time limit of one script do not reach the next' => function (): void {
        $peer = site();
        same([[true, '0', true], [true, '0', true]], [json_decode(act($peer, 'state')['body']), json_decode(act($peer, 'state')['body'])]);
    },
    'where functions cannot be replaced the worker says so, and the namespaced ones work' => function (): void {
        $peer = Peer::start(__DIR__ . '/fixtures/functions-lost.php', options: ['-d', 'disable_functions=pcntl_exec']);
        $reply = $peer->http(['method' => 'POST'], 'the body');
        same(
            [202, ['X-Kept' => ['yes'], 'Set-Cookie' => ['a=b'], 'Content-Type' => ['text/html; charset=UTF-8']], 'the body'],
            [$reply['status'], $reply['headers'], $reply['body']],
        );
        contains('php ' . FunctionTakeover::option() . ' worker.php', $peer->log());
        // The line that it prints is the remedy.
        $peer = Peer::start(__DIR__ . '/fixtures/functions-lost.php', options: [...explode(' ', FunctionTakeover::option()), '-d', 'memory_limit=99M']);
        same(['yes'], $peer->http([])['headers']['X-Lost']);
        same('', $peer->log());
    },
    'the process replaces itself with its options and settings, and keeps its id' => function (): void {
        if (!function_exists('pcntl_exec') || !is_readable('/proc/self/cmdline')) {
            throw new Skipped('needs the pcntl extension and /proc');
        }
        $peer = Peer::start(__DIR__ . '/fixtures/functions-lost.php', options: ['-d', 'disable_functions=shell_exec', '-d', 'memory_limit=99M']);
        same('', $peer->log(), 'before');
        $peer->write(vector('boot.pipes.rr2024.pid.request'));
        same('{"pid":' . $peer->pid() . '}', $peer->read()['body']);
        $commandLine = explode("\0", (string) file_get_contents('/proc/' . $peer->pid() . '/cmdline'));
        ok(str_contains($commandLine[2], 'shell_exec,') || in_array('disable_functions=shell_exec', $commandLine, true), 'own setting kept');
        ok(in_array('memory_limit=99M', $commandLine, true), 'own option kept');
    },
    'over a socket' => function (): void {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $peer = Peer::startOnSocket(SITE_WORKER, $listener, 'tcp://' . stream_socket_get_name($listener, false));
        same('kept output <?php', substr(act($peer, 'clean-all')['body'], 0, 17));
        same('ab', act($peer, 'warning')['body']);
        $peer->write(vector('control.rr2024.stop'));
        same('', $peer->stdout());
    },
    'outside of a worker the functions say what is missing' => function (): void {
        throws(StateException::class, fn () => GlobalsWorker::current(), 'GlobalsWorker::run()');
    },
    'the example' => function (): void {
        $peer = Peer::start(__DIR__ . '/../examples/globals.php');
        $reply = $peer->http(['uri' => 'http://h/a?b=c', 'headers' => ['Cookie' => ['visits=4']]]);
        same([['text/plain; charset=utf-8'], ['visits=5']], array_values($reply['headers']));
        contains("GET /a?b=c from 10.1.2.3\n", $reply['body']);
    },
];
