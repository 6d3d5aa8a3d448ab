<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Rrctl\Exception\ProtocolException;

/** The head of a request and of a response as JSON. */
final class JsonContext
{
    /**
     * @return array<string, mixed> the fields of Request
     */
    public static function decodeRequest(string $context): array
    {
        $fields = \json_decode($context, true);
        if (!\is_array($fields) || !isset($fields['method'], $fields['uri'])) {
            throw new ProtocolException(
                'The context of the request is not a JSON object with method and uri (' . \json_last_error_msg() . '): '
                . \substr($context, 0, 200)
            );
        }

        return $fields + [
            'remoteAddr' => '',
            'protocol' => 'HTTP/1.1',
            'headers' => [],
            'cookies' => [],
            'rawQuery' => '',
            'parsed' => false,
            'uploads' => null,
            'attributes' => [],
            'fileInputs' => null,
        ];
    }

    /**
     * @param array<string, list<string>> $headers
     */
    public static function encodeResponse(int $status, array $headers): string
    {
        return '{"status":' . $status . ',"headers":' . \json_encode(
            (object) $headers,
            \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE | \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_THROW_ON_ERROR,
        ) . '}';
    }
}
