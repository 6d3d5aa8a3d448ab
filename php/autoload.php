<?php

declare(strict_types=1);

// PSR-4 for this package alone, so that the examples and the tests run from a clone in which Composer never ran.
spl_autoload_register(static function (string $class): void {
    if (strncmp($class, 'Rrctl\\', 6) !== 0) {
        return;
    }
    $file = __DIR__ . '/src/' . strtr(substr($class, 6), '\\', '/') . '.php';
    if (is_file($file)) {
        require $file;
    }
});
