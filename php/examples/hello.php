<?php

declare(strict_types=1);

// The plainest HTTP worker.

use Rrctl\Http\HttpWorker;

require __DIR__ . '/../autoload.php';

$http = HttpWorker::create();

while ($request = $http->waitRequest()) {
    $http->respond(200, "Hello World!\n", ['Content-Type' => 'text/plain; charset=utf-8']);
}
