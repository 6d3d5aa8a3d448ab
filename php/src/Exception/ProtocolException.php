<?php

declare(strict_types=1);

namespace Rrctl\Exception;

/** The server sent bytes that are not a frame, or a message this worker does not know. */
final class ProtocolException extends \RuntimeException
{
}
