<?php

declare(strict_types=1);

namespace Rrctl\Http;

/**
 * Ends a plain script whose client went away, as a web server's PHP does. Not an \Exception, so that the script's own
 * catch blocks rarely take it.
 */
final class ClientGone extends \Error
{
}
