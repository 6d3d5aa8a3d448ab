<?php

declare(strict_types=1);

// Says how much of a request came: php worker.php is started by .rr.yaml beside this file.

use Rrctl\Http\HttpWorker;
use Rrctl\Http\Request;

require __DIR__ . '/../../php/autoload.php';

HttpWorker::create()->serve(static function (Request $request, HttpWorker $http): void {
    if ($request->path === '/fail') {
        // What frameworks' bridges do with exceptions that nobody caught.
        $http->error('this failed');

        return;
    }
    if ($request->path === '/throw') {
        throw new RuntimeException('this was thrown');
    }
    $http->respond(200, strlen($request->body) . " bytes\n", ['Content-Type' => 'text/plain; charset=utf-8']);
});
