<?php

declare(strict_types=1);

// A small application with a route for everything worth trying: `npm start` serves it.

use Rrctl\Http\HttpWorker;
use Rrctl\Http\Request;

require __DIR__ . '/../../autoload.php';
require __DIR__ . '/page.php';

$routes = require __DIR__ . '/routes.php';
$http = HttpWorker::create();

$http->serve(static function (Request $request, HttpWorker $http) use ($routes): void {
    Demo\Visits::$count++;
    $route = $routes[$request->path] ?? null;
    if ($route === null) {
        $http->respond(404, Demo\page('Not found', '<p>There is no ' . Demo\escape($request->path) . ' here.</p>'), Demo\HTML);

        return;
    }
    $route($request, $http);
});
