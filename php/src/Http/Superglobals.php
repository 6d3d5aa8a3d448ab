<?php

declare(strict_types=1);

namespace Rrctl\Http;

/** What PHP under a web server puts into $_SERVER, $_GET, $_POST, $_COOKIE, $_FILES and $_REQUEST. Pure functions. */
final class Superglobals
{
    /**
     * @param array<string, mixed> $environment what every request's $_SERVER begins with
     * @param string $documentRoot absolute path
     * @param string $scriptName path of the script below the document root, beginning with /
     * @param string $pathInfo what follows the script in the path of the request, '' for nothing
     *
     * @return array<string, mixed>
     */
    public static function server(
        Request $request,
        array $environment,
        string $documentRoot,
        string $scriptName,
        string $pathInfo = '',
    ): array {
        $uri = $request->uri;
        $schemeEnd = \strpos($uri, '://');
        $scheme = $schemeEnd === false ? 'http' : \substr($uri, 0, $schemeEnd);
        $hostStart = $schemeEnd === false ? 0 : $schemeEnd + 3;
        $hostBytes = \strcspn($uri, '/?#', $hostStart);
        $host = \substr($uri, $hostStart, $hostBytes);
        $target = \substr($uri, $hostStart + $hostBytes);
        if ($target === '' || $target[0] !== '/') {
            $target = "/$target";
        }
        $portStart = \preg_match('/:(\d+)$/', $host, $port) === 1 ? \strlen($host) - \strlen($port[0]) : \strlen($host);
        $https = \strcasecmp($scheme, 'https') === 0;
        $now = \microtime(true);

        $server = $environment;
        foreach ($request->headers as $name => $values) {
            $key = \strtoupper(\strtr((string) $name, '-', '_'));
            if ($key === 'CONTENT_TYPE' || $key === 'CONTENT_LENGTH') {
                $server[$key] = \implode(', ', $values);
            } elseif ($key !== 'PROXY') {
                // A Proxy header would become HTTP_PROXY, which HTTP clients on the command line take for their proxy.
                $server["HTTP_$key"] = \implode($key === 'COOKIE' ? '; ' : ', ', $values);
            }
        }
        $server['HTTP_HOST'] = $host;
        $server['GATEWAY_INTERFACE'] = 'CGI/1.1';
        $server['SERVER_SOFTWARE'] = 'rrctl';
        $server['SERVER_PROTOCOL'] = $request->protocol;
        $server['SERVER_NAME'] = \substr($host, 0, $portStart);
        $server['SERVER_PORT'] = $port[1] ?? ($https ? '443' : '80');
        $server['REMOTE_ADDR'] = $request->remoteAddr;
        $server['REQUEST_SCHEME'] = $scheme;
        if ($https) {
            $server['HTTPS'] = 'on';
        }
        $server['REQUEST_METHOD'] = $request->method;
        $server['REQUEST_URI'] = $target;
        $server['QUERY_STRING'] = $request->rawQuery;
        $server['DOCUMENT_ROOT'] = $documentRoot;
        $server['SCRIPT_NAME'] = $scriptName;
        $server['SCRIPT_FILENAME'] = $documentRoot . $scriptName;
        $server['PHP_SELF'] = $scriptName . $pathInfo;
        if ($pathInfo !== '') {
            $server['PATH_INFO'] = $pathInfo;
        }
        $server['REQUEST_TIME'] = (int) $now;
        $server['REQUEST_TIME_FLOAT'] = $now;

        return self::withCredentials($server);
    }

    /**
     * What of the process' own $_SERVER is kept for every request: the environment, without what describes the worker
     * script and without anything that looks like a header of the client.
     *
     * @param array<string, mixed> $server
     *
     * @return array<string, mixed>
     */
    public static function environment(array $server): array
    {
        unset($server['argv'], $server['argc'], $server['PATH_TRANSLATED'], $server['HTTPS'], $server['RRCTL_FUNCTIONS_TAKEN']);

        return \array_filter(
            $server,
            static fn (int|string $name): bool => !\str_starts_with((string) $name, 'HTTP_'),
            \ARRAY_FILTER_USE_KEY,
        );
    }

    /** @return array<array-key, mixed> */
    public static function get(Request $request): array
    {
        return $request->query;
    }

    /**
     * Fields of a form; of a POST only, as PHP does it.
     *
     * @return array<array-key, mixed>
     */
    public static function post(Request $request): array
    {
        if ($request->method !== 'POST') {
            return [];
        }
        if (!$request->parsed) {
            if (\stripos($request->header('Content-Type'), 'application/x-www-form-urlencoded') !== 0) {
                return [];
            }
            \parse_str($request->body, $fields);

            return $fields;
        }
        $form = $request->form;
        // From the last one on: with it goes the list that has no other entry.
        foreach (\array_reverse($request->fileInputs['texts'] ?? []) as $path) {
            self::remove($form, $path);
        }
        $fields = [];
        foreach ($form as $name => $value) {
            $fields[self::fieldName($name)] = \is_array($value) ? self::withoutEmptyKeys($value) : $value;
        }

        return $fields;
    }

    /**
     * The Cookie header as PHP reads it: the first of two equal names wins, + stays +, brackets make arrays.
     *
     * @return array<array-key, mixed>
     */
    public static function cookie(Request $request): array
    {
        $header = \implode('; ', $request->headers['Cookie'] ?? $request->headers['cookie'] ?? []);
        if ($header === '') {
            return $request->cookies;
        }
        $cookies = [];
        $withBrackets = [];
        foreach (\explode(';', $header) as $pair) {
            [$name, $value] = \explode('=', \ltrim($pair), 2) + ['', ''];
            if ($name === '') {
                continue;
            }
            if (\str_contains($name, '[')) {
                $withBrackets[] = \rawurlencode($name) . '=' . \rawurlencode(\rawurldecode($value));
            } else {
                $cookies[self::fieldName($name)] ??= \rawurldecode($value);
            }
        }
        if ($withBrackets !== []) {
            \parse_str(\implode('&', $withBrackets), $arrays);
            $cookies += $arrays;
        }

        return $cookies;
    }

    /**
     * Inputs for files that were left empty are there, with error 4.
     *
     * @return array<array-key, mixed>
     */
    public static function files(Request $request): array
    {
        $files = [];
        foreach ($request->fileInputs['files'] ?? $request->uploads as $name => $node) {
            $files[self::fieldName($name)] = self::isFile($node) ? [
                'name' => $node['name'],
                'full_path' => $node['name'],
                'type' => $node['mime'] ?? '',
                'tmp_name' => $node['tmpName'],
                'error' => $node['error'],
                'size' => $node['size'] ?? 0,
            ] : [
                'name' => self::column($node, 'name'),
                'full_path' => self::column($node, 'name'),
                'type' => self::column($node, 'mime'),
                'tmp_name' => self::column($node, 'tmpName'),
                'error' => self::column($node, 'error'),
                'size' => self::column($node, 'size'),
            ];
        }

        return $files;
    }

    /**
     * $_REQUEST from the other three, in the order that php.ini says.
     *
     * @param array<array-key, mixed> $get
     * @param array<array-key, mixed> $post
     * @param array<array-key, mixed> $cookie
     *
     * @return array<array-key, mixed>
     */
    public static function request(array $get, array $post, array $cookie): array
    {
        $request = [];
        $order = (string) \ini_get('request_order') ?: (string) \ini_get('variables_order');
        foreach (\str_split(\strtoupper($order)) as $letter) {
            $source = match ($letter) {
                'G' => $get,
                'P' => $post,
                'C' => $cookie,
                default => [],
            };
            $request = $request === [] ? $source : \array_replace_recursive($request, $source);
        }

        return $request;
    }

    /**
     * Paths of the temporary files that belong to the request.
     *
     * @param array<array-key, mixed> $tree
     *
     * @return array<string, true>
     */
    public static function temporaryFiles(array $tree): array
    {
        $paths = [];
        foreach ($tree as $node) {
            if (!self::isFile($node)) {
                $paths += self::temporaryFiles($node);
            } elseif ($node['tmpName'] !== '') {
                $paths[$node['tmpName']] = true;
            }
        }

        return $paths;
    }

    /**
     * @param array<string, mixed> $server
     *
     * @return array<string, mixed>
     */
    private static function withCredentials(array $server): array
    {
        $authorization = $server['HTTP_AUTHORIZATION'] ?? '';
        if (\strncasecmp($authorization, 'Basic ', 6) === 0) {
            $pair = \explode(':', (string) \base64_decode(\substr($authorization, 6)), 2);
            if (isset($pair[1])) {
                [$server['PHP_AUTH_USER'], $server['PHP_AUTH_PW']] = $pair;
            }
        } elseif (\strncasecmp($authorization, 'Digest ', 7) === 0) {
            $server['PHP_AUTH_DIGEST'] = \substr($authorization, 7);
        }

        return $server;
    }

    /** PHP makes variable names of the first part of a field name; this server has done so, RoadRunner does not. */
    private static function fieldName(int|string $name): string
    {
        return \strtr(\ltrim((string) $name, ' '), ' .[', '___');
    }

    /**
     * Takes out what is at the path, and the arrays on the way that are empty without it.
     *
     * @param array<array-key, mixed> $tree
     * @param list<string> $path
     */
    private static function remove(array &$tree, array $path): void
    {
        $key = \array_shift($path);
        if ($path !== [] && \is_array($tree[$key] ?? null)) {
            self::remove($tree[$key], $path);
            if ($tree[$key] !== []) {
                return;
            }
        }
        unset($tree[$key]);
    }

    /**
     * RoadRunner keeps `[]` in the middle of a field name as the key "", where PHP appends.
     *
     * @param array<array-key, mixed> $tree
     *
     * @return array<array-key, mixed>
     */
    private static function withoutEmptyKeys(array $tree): array
    {
        $result = [];
        foreach ($tree as $key => $value) {
            $value = \is_array($value) ? self::withoutEmptyKeys($value) : $value;
            if ($key === '') {
                $result[] = $value;
            } else {
                $result[$key] = $value;
            }
        }

        return $result;
    }

    private static function isFile(array $node): bool
    {
        return \is_string($node['tmpName'] ?? null) && \is_int($node['error'] ?? null);
    }

    /**
     * @param array<array-key, mixed> $tree
     *
     * @return array<array-key, mixed>
     */
    private static function column(array $tree, string $field): array
    {
        $column = [];
        foreach ($tree as $key => $node) {
            $column[$key] = self::isFile($node) ? ($node[$field] ?? '') : self::column($node, $field);
        }

        return $column;
    }
}
