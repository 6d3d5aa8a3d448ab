<?php

declare(strict_types=1);

namespace Rrctl;

use Rrctl\Exception\RelayException;

/** Chooses the relay that the server named. */
final class Relays
{
    /** The relay of RR_RELAY, `pipes` when the variable is not set. */
    public static function fromEnvironment(): Relay
    {
        $address = $_SERVER['RR_RELAY'] ?? $_ENV['RR_RELAY'] ?? \getenv('RR_RELAY');

        return self::fromAddress(\is_string($address) && $address !== '' ? $address : 'pipes');
    }

    /**
     * @param string $address `pipes`, `pipes://stdin:stdout`, `unix:///path` or `tcp://host:port`
     */
    public static function fromAddress(string $address): Relay
    {
        if ($address === 'pipes' || $address === 'pipes://stdin:stdout') {
            return StreamRelay::standard();
        }
        $scheme = \strtolower((string) \strstr($address, '://', true));
        $place = \substr($address, \strlen($scheme) + 3);
        if ($scheme === 'unix' && $place !== '') {
            return new SocketRelay("unix://$place");
        }
        $port = \strrchr($place, ':');
        if ($scheme === 'tcp' && $port !== false && $port !== $place && \ctype_digit(\substr($port, 1))) {
            return new SocketRelay("tcp://$place");
        }

        throw new RelayException(
            "The relay \"$address\" is none of pipes, unix:///path/to/socket, tcp://host:port. "
            . 'The server sets it in RR_RELAY; check server.relay in its configuration.'
        );
    }
}
