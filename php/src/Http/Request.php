<?php

declare(strict_types=1);

namespace Rrctl\Http;

/**
 * One HTTP request, read only. The head is decoded when the first of its properties is read.
 *
 * @property-read string $method as the client sent it: GET, POST, ...
 * @property-read string $uri absolute: scheme, Host header, path and query
 * @property-read string $protocol HTTP/1.0, HTTP/1.1 or HTTP/2.0
 * @property-read string $remoteAddr address of the client, without a port
 * @property-read array<string, list<string>> $headers without Host, which is in $uri
 * @property-read array<string, string> $cookies decoded
 * @property-read string $rawQuery what follows the question mark, undecoded
 * @property-read array<array-key, mixed> $query $rawQuery as PHP parses it
 * @property-read bool $parsed whether the server parsed the body: it is a form then, see $form
 * @property-read array<array-key, mixed> $form the fields of a form that the server parsed, else empty
 * @property-read array<array-key, mixed> $uploads tree of uploaded files: name, mime, size, error, tmpName
 * @property-read array<string, mixed> $fileInputs empty unless file inputs were left empty. files: the uploads with those
 *                                             inputs among them, error 4; texts: paths in $form of the empty texts that
 *                                             stand for them
 * @property-read array<string, list<string>> $attributes set by the server's middleware
 * @property-read string $path of the uri, undecoded, at least /
 */
final class Request
{
    /** @var array<string, mixed>|null */
    private ?array $fields = null;

    /** @var array<string, list<string>>|null */
    private ?array $headersByLowerName = null;

    /**
     * @param string $context the encoded head
     * @param bool $protobuf whether the head is protobuf; JSON otherwise
     * @param string $body raw, or JSON of the form when $parsed
     */
    public function __construct(
        private readonly string $context,
        public readonly string $body,
        private readonly bool $protobuf = false,
    ) {
    }

    public function __get(string $name): mixed
    {
        $fields = $this->fields ??= $this->decode();
        if (isset($fields[$name])) {
            return $fields[$name];
        }
        if (\array_key_exists($name, $fields)) {
            return []; // null: a request without uploads, or an empty map from a lenient encoder
        }
        $value = match ($name) {
            'query' => self::parseQuery($fields['rawQuery']),
            'form' => $this->decodeForm(),
            'path' => self::pathOf($fields['uri']),
            default => throw new \Error("A request has no property \"$name\"."),
        };

        return $this->fields[$name] = $value;
    }

    public function __isset(string $name): bool
    {
        $fields = $this->fields ??= $this->decode();

        return \array_key_exists($name, $fields) || $name === 'query' || $name === 'form' || $name === 'path';
    }

    public function __set(string $name, mixed $value): void
    {
        throw new \Error("A request is read only: \"$name\" cannot be set.");
    }

    /** The values of a header joined as HTTP does, '' when it is missing. The name's case does not matter. */
    public function header(string $name): string
    {
        if ($this->headersByLowerName === null) {
            $this->headersByLowerName = \array_change_key_case($this->__get('headers'));
        }

        return \implode(', ', $this->headersByLowerName[\strtolower($name)] ?? []);
    }

    private static function parseQuery(string $rawQuery): array
    {
        if ($rawQuery === '') {
            return [];
        }
        \parse_str($rawQuery, $query);

        return $query;
    }

    /** Not parse_url(): it fails on paths such as //a:80. */
    private static function pathOf(string $uri): string
    {
        $schemeEnd = \strpos($uri, '://');
        $start = $schemeEnd === false ? 0 : $schemeEnd + 3 + \strcspn($uri, '/?#', $schemeEnd + 3);
        $path = \substr($uri, $start, \strcspn($uri, '?#', $start));

        return $path === '' ? '/' : $path;
    }

    private function decodeForm(): array
    {
        if (!$this->fields['parsed'] || $this->body === '') {
            return [];
        }
        $form = \json_decode($this->body, true);
        if (!\is_array($form)) {
            throw new \Rrctl\Exception\ProtocolException(
                'The body of a parsed form is not JSON (' . \json_last_error_msg() . '): ' . \substr($this->body, 0, 200)
            );
        }

        return $form;
    }

    /** @return array<string, mixed> */
    private function decode(): array
    {
        return $this->protobuf
            ? ProtobufContext::decodeRequest($this->context)
            : JsonContext::decodeRequest($this->context);
    }
}
