<?php

declare(strict_types=1);

namespace Rrctl\Exception;

/** The pipe or socket to the server failed: it closed in the middle of a frame, could not be opened or written. */
final class RelayException extends \RuntimeException
{
}
