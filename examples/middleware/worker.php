<?php

declare(strict_types=1);

// Shows what middleware makes of a request: php worker.php is started by .rr.yaml beside this file.

use Rrctl\Http\HttpWorker;
use Rrctl\Http\Request;

require __DIR__ . '/../../php/autoload.php';

HttpWorker::create()->serve(static function (Request $request, HttpWorker $http): void {
    if ($request->path === '/report') {
        // The middleware "sendfile" sends storage/report.txt in place of this response's body.
        $http->respond(200, '', ['X-Sendfile' => 'report.txt', 'Content-Type' => 'text/plain; charset=utf-8']);

        return;
    }
    $seen = [
        'path' => $request->path,
        'address' => $request->remoteAddr,
        'environment' => $request->header('X-Environment'),
        // $request->getAttribute('user') with PSR-7.
        'user' => $request->attributes['user'] ?? null,
    ];
    $http->respond(200, json_encode($seen, JSON_THROW_ON_ERROR) . "\n", ['Content-Type' => 'application/json']);
});
