<?php

declare(strict_types=1);

// php tests/run.php [text]: runs every test whose file or name contains the text. Exits 1 when one fails.
// A test file returns name => function; a function fails by throwing and skips by throwing Skipped.

namespace Rrctl\Tests;

require __DIR__ . '/../autoload.php';
require __DIR__ . '/assert.php';
require __DIR__ . '/Peer.php';

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    if (!(error_reporting() & $level)) {
        return false;
    }
    throw new \ErrorException($message, 0, $level, $file, $line);
});

$only = $argv[1] ?? '';
$passed = $failed = $skipped = 0;
foreach (glob(__DIR__ . '/*Test.php') as $file) {
    $group = basename($file, 'Test.php');
    foreach (require $file as $name => $test) {
        if ($only !== '' && stripos("$group: $name", $only) === false) {
            continue;
        }
        try {
            $test();
            $passed++;
            echo "ok    $group: $name\n";
        } catch (Skipped $reason) {
            $skipped++;
            echo "skip  $group: $name ({$reason->getMessage()})\n";
        } catch (\Throwable $error) {
            $failed++;
            echo "FAIL  $group: $name\n      ", str_replace("\n", "\n      ", (string) $error), "\n";
        } finally {
            Peer::endAll();
        }
    }
}
if ($passed + $failed === 0) {
    echo "No test matches \"$only\".\n";
    $failed = $skipped > 0 ? 0 : 1;
}
echo $skipped > 0 ? "$skipped skipped\n" : '', "$passed passed, $failed failed\n";
exit($failed > 0 ? 1 : 0);
