<?php

declare(strict_types=1);

namespace Demo;

use Rrctl\Http\HttpWorker;
use Rrctl\Http\Request;

const JSON = ['Content-Type' => 'application/json; charset=utf-8'];

/** @return array<string, string> */
function headerRows(Request $request): array
{
    return array_map(static fn (array $values): string => implode(', ', $values), $request->headers);
}

/** @param array<array-key, mixed> $values */
function json(array $values): string
{
    return json_encode($values, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE) . "\n";
}

/**
 * The leaves of a form or of an upload tree, by the name the browser gave them.
 *
 * @param array<array-key, mixed> $tree
 *
 * @return iterable<string, mixed>
 */
function leaves(array $tree, callable $isLeaf, string $prefix = ''): iterable
{
    foreach ($tree as $key => $node) {
        $name = $prefix === '' ? (string) $key : "{$prefix}[$key]";
        if (!is_array($node) || $isLeaf($node)) {
            yield $name => $node;
        } else {
            yield from leaves($node, $isLeaf, $name);
        }
    }
}

return [
    '/' => static function (Request $request, HttpWorker $http): void {
        $routes = [
            '/json' => 'the request as JSON',
            '/form' => 'a form, and what arrives of it',
            '/upload' => 'upload files',
            '/stream' => 'a page that arrives in pieces',
            '/events' => 'server-sent events, ten ticks',
            '/slow?ms=500' => 'an answer that takes its time',
            '/error' => 'an exception: status 500, the trace in the log, the worker goes on',
            '/info' => 'this worker: process, requests, memory',
            '/headers' => 'the headers of your request',
        ];
        $list = '<p>A PHP application whose workers stay in memory between requests.</p><ul class="routes">';
        foreach ($routes as $path => $text) {
            $list .= "<li><a href=\"$path\"><code>$path</code><span>$text</span></a></li>";
        }
        $http->respond(200, page('It works', "$list</ul>"), HTML);
    },

    '/json' => static function (Request $request, HttpWorker $http): void {
        $http->respond(200, json([
            'method' => $request->method,
            'uri' => $request->uri,
            'protocol' => $request->protocol,
            'remoteAddr' => $request->remoteAddr,
            'query' => (object) $request->query,
            'cookies' => (object) $request->cookies,
            'form' => (object) $request->form,
            'bodyBytes' => strlen($request->body),
            'pid' => getmypid(),
        ]), JSON);
    },

    '/form' => static function (Request $request, HttpWorker $http): void {
        $form = <<<'HTML'
            <form method="post" action="/form">
            <input name="name" placeholder="Your name" autocomplete="off">
            <textarea name="message" rows="3" cols="40" placeholder="A message"></textarea>
            <label><input type="checkbox" name="likes[]" value="tea"> tea</label>
            <label><input type="checkbox" name="likes[]" value="coffee"> coffee</label>
            <button>Send</button>
            </form>
            HTML;
        if ($request->method === 'POST') {
            $form .= table(leaves($request->form, static fn (): bool => false));
        }
        $http->respond(200, page('Form', $form), HTML);
    },

    '/upload' => static function (Request $request, HttpWorker $http): void {
        $form = <<<'HTML'
            <form method="post" action="/upload" enctype="multipart/form-data">
            <input type="file" name="files[]" multiple>
            <button>Upload</button>
            </form>
            HTML;
        if ($request->method === 'POST') {
            $isFile = static fn (array $node): bool => is_string($node['tmpName'] ?? null);
            $rows = [];
            foreach (leaves($request->uploads, $isFile) as $name => $file) {
                if ($file['error'] === UPLOAD_ERR_NO_FILE) {
                    continue; // Nothing was chosen.
                }
                $rows[$name] = $file['error'] === UPLOAD_ERR_OK
                    ? sprintf('%s, %s, %d bytes, SHA-1 %s', $file['name'], $file['mime'], $file['size'], sha1_file($file['tmpName']))
                    : "{$file['name']}: upload error {$file['error']}";
            }
            $form .= $rows === []
                ? '<p>No file arrived' . ($request->parsed ? '' : ', the body came unparsed: '
                    . strlen($request->body) . ' bytes') . '.</p>'
                : table($rows);
        }
        $http->respond(200, page('Upload', $form), HTML);
    },

    '/stream' => static function (Request $request, HttpWorker $http): void {
        $http->respond(200, (static function (): \Generator {
            [$head, $foot] = explode('<!--pieces-->', page('Stream', '<!--pieces-->'));
            yield $head;
            for ($piece = 1; $piece <= 10; $piece++) {
                yield "<p>Piece $piece of 10, sent at " . date('H:i:s') . ".</p>\n";
                usleep(300_000);
            }
            yield $foot;
        })(), HTML);
    },

    '/events' => static function (Request $request, HttpWorker $http): void {
        if (str_contains($request->header('Accept'), 'text/html')) {
            $http->respond(200, page('Events', <<<'HTML'
                <p>Ten ticks, one every half second. The stream itself: <code>curl -N</code> this address.</p>
                <ol id="ticks"></ol>
                <script>
                  const source = new EventSource("/events");
                  source.onmessage = (event) => {
                    const item = document.createElement("li");
                    item.textContent = event.data;
                    document.getElementById("ticks").append(item);
                  };
                  source.addEventListener("end", () => source.close());
                </script>
                HTML), HTML);

            return;
        }
        $http->respond(200, (static function (): \Generator {
            for ($tick = 1; $tick <= 10; $tick++) {
                yield "id: $tick\ndata: tick $tick at " . date('H:i:s') . "\n\n";
                usleep(500_000);
            }
            yield "event: end\ndata: bye\n\n";
        })(), ['Content-Type' => 'text/event-stream', 'Cache-Control' => 'no-cache']);
    },

    '/slow' => static function (Request $request, HttpWorker $http): void {
        $ms = $request->query['ms'] ?? '500';
        $milliseconds = is_string($ms) ? max(0, min(60_000, (int) $ms)) : 500;
        usleep($milliseconds * 1000);
        $http->respond(200, "Took $milliseconds ms in process " . getmypid() . "\n", ['Content-Type' => 'text/plain']);
    },

    '/error' => static function (): void {
        throw new \RuntimeException('This route always fails.');
    },

    '/info' => static function (Request $request, HttpWorker $http): void {
        $http->respond(200, json([
            'pid' => getmypid(),
            'requests' => Visits::$count,
            'uptimeSeconds' => round(microtime(true) - Visits::$since, 3),
            'memoryBytes' => memory_get_usage(true),
            'memoryPeakBytes' => memory_get_peak_usage(true),
            'php' => PHP_VERSION,
        ]), JSON);
    },

    '/headers' => static function (Request $request, HttpWorker $http): void {
        $http->respond(200, page('Headers', table(headerRows($request))), HTML);
    },
];
