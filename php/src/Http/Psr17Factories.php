<?php

declare(strict_types=1);

namespace Rrctl\Http;

use Psr\Http\Message\ServerRequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;
use Psr\Http\Message\UploadedFileFactoryInterface;

/** The three PSR-17 factories that a PSR-7 request is built with, from whatever library is installed. */
final class Psr17Factories
{
    /** Server request, stream and uploaded file factory of the known libraries, the fastest first. */
    private const KNOWN = [
        'nyholm/psr7' => [
            'Nyholm\Psr7\Factory\Psr17Factory',
            'Nyholm\Psr7\Factory\Psr17Factory',
            'Nyholm\Psr7\Factory\Psr17Factory',
        ],
        'guzzlehttp/psr7' => [
            'GuzzleHttp\Psr7\HttpFactory',
            'GuzzleHttp\Psr7\HttpFactory',
            'GuzzleHttp\Psr7\HttpFactory',
        ],
        'httpsoft/http-message' => [
            'HttpSoft\Message\ServerRequestFactory',
            'HttpSoft\Message\StreamFactory',
            'HttpSoft\Message\UploadedFileFactory',
        ],
        'laminas/laminas-diactoros' => [
            'Laminas\Diactoros\ServerRequestFactory',
            'Laminas\Diactoros\StreamFactory',
            'Laminas\Diactoros\UploadedFileFactory',
        ],
        'slim/psr7' => [
            'Slim\Psr7\Factory\ServerRequestFactory',
            'Slim\Psr7\Factory\StreamFactory',
            'Slim\Psr7\Factory\UploadedFileFactory',
        ],
    ];

    public function __construct(
        public readonly ServerRequestFactoryInterface $requests,
        public readonly StreamFactoryInterface $streams,
        public readonly UploadedFileFactoryInterface $uploadedFiles,
    ) {
    }

    /**
     * @throws \LogicException naming what to install when there is no library
     */
    public static function detect(): self
    {
        foreach (self::KNOWN as [$requests, $streams, $uploadedFiles]) {
            if (\class_exists($requests) && \class_exists($streams) && \class_exists($uploadedFiles)) {
                $first = new $requests();

                return new self(
                    $first,
                    $streams === $requests ? $first : new $streams(),
                    $uploadedFiles === $requests ? $first : new $uploadedFiles(),
                );
            }
        }

        throw new \LogicException(
            'No PSR-17 factories are installed (looked for ' . \implode(', ', \array_keys(self::KNOWN)) . '). '
            . 'Run `composer require nyholm/psr7` and load vendor/autoload.php before the worker starts, '
            . 'or give Psr7Worker your own factories.'
        );
    }
}
