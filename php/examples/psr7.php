<?php

declare(strict_types=1);

// A PSR-7 worker. Needs a PSR-7 library: composer require nyholm/psr7 (any with PSR-17 factories will do).

use Nyholm\Psr7\Response;
use Psr\Http\Message\ServerRequestInterface;
use Rrctl\Http\Psr7Worker;

require __DIR__ . '/../autoload.php';
foreach ([__DIR__ . '/../vendor/autoload.php', __DIR__ . '/../../../autoload.php', getcwd() . '/vendor/autoload.php'] as $file) {
    if (is_file($file)) {
        require_once $file;
    }
}
if (!class_exists(Response::class)) {
    fwrite(STDERR, "This example needs nyholm/psr7. Run: composer require nyholm/psr7\n"
        . 'and start it where vendor/ is, or in ' . dirname(__DIR__) . ".\n");
    exit(1);
}

$psr7 = Psr7Worker::create();

$psr7->serve(static fn (ServerRequestInterface $request) => new Response(
    200,
    ['Content-Type' => 'text/plain; charset=utf-8'],
    "{$request->getMethod()} {$request->getUri()->getPath()}\n",
));
