<?php

declare(strict_types=1);

// The leanest worker there is: gives context and body back. For benchmarks of everything around it.

require __DIR__ . '/../autoload.php';

$worker = Rrctl\Worker::create();

while ($payload = $worker->waitPayload()) {
    $worker->respond($payload);
}
