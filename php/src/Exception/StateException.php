<?php

declare(strict_types=1);

namespace Rrctl\Exception;

/** A call that does not fit the state of the worker, such as a second answer to one request. */
final class StateException extends \RuntimeException
{
}
