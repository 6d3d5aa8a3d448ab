<?php

declare(strict_types=1);

// Plain PHP, as under a web server: superglobals are filled, what is printed is the page, header() works.

use Rrctl\Http\GlobalsWorker;

require __DIR__ . '/../autoload.php';

GlobalsWorker::run(function (): void {
    header('Content-Type: text/plain; charset=utf-8');
    setcookie('visits', (string) (1 + (int) ($_COOKIE['visits'] ?? 0)));

    echo "{$_SERVER['REQUEST_METHOD']} {$_SERVER['REQUEST_URI']} from {$_SERVER['REMOTE_ADDR']}\n";
    print_r(['_GET' => $_GET, '_POST' => $_POST, '_COOKIE' => $_COOKIE, '_FILES' => $_FILES]);
});
