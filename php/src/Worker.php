<?php

declare(strict_types=1);

namespace Rrctl;

use Rrctl\Exception\ProtocolException;
use Rrctl\Exception\RelayException;
use Rrctl\Exception\StateException;

/**
 * One worker process: takes executions from the server one at a time and answers each once.
 *
 *     $worker = Worker::create();
 *     while ($payload = $worker->waitPayload()) {
 *         $worker->respond(new Payload('answer'));
 *     }
 */
final class Worker
{
    /** On pipes the server is asked (PING) after this many pieces of a streamed reply. */
    private const PIECES_PER_PING = 5;

    /** Whether an execution waits for its answer. */
    private bool $busy = false;

    /** Pieces of the current reply that are sent already. */
    private int $pieces = 0;

    /** The server said that nobody reads the rest of the current reply. */
    private bool $cancelled = false;

    private function __construct(private readonly Relay $relay, private readonly bool $interceptOutput)
    {
    }

    /**
     * @param Relay|null $relay the relay named by RR_RELAY when null
     * @param bool $interceptOutput send printed output to standard error; without it an echo breaks the frames on pipes
     */
    public static function create(?Relay $relay = null, bool $interceptOutput = true): self
    {
        if ($interceptOutput) {
            Stderr::showErrors();
            Stderr::interceptOutput();
        }

        return new self($relay ?? Relays::fromEnvironment(), $interceptOutput);
    }

    /**
     * Waits for the next execution.
     *
     * @return Payload|null null when the worker shall end: the server said so or is gone
     *
     * @throws ProtocolException on a message that this worker does not know
     * @throws RelayException when the connection breaks inside a frame
     */
    public function waitPayload(): ?Payload
    {
        $this->busy = false;
        // The application may have ended our output handler (`while (ob_get_level()) ob_end_clean()`).
        if ($this->interceptOutput && \ob_get_level() === 0) {
            Stderr::interceptOutput();
        }
        while (($frame = $this->relay->receive()) !== null) {
            if ($frame->flags & Frame::CONTROL) {
                if (!$this->control($frame->body)) {
                    return null;
                }
            } elseif ($frame->hasContext) {
                $this->busy = true;
                $this->pieces = 0;
                $this->cancelled = false;

                return new Payload($frame->body, $frame->context, $frame->flags & Frame::CODEC_MASK);
            } elseif (!($frame->streamBits & (Frame::STOP | Frame::PONG)) || $frame->body !== '') {
                throw new ProtocolException(\sprintf(
                    'The server sent a frame of %d bytes without the option that holds the length of its context '
                    . '(flags 0x%02x, stream bits 0x%02x).',
                    \strlen($frame->body),
                    $frame->flags,
                    $frame->streamBits,
                ));
            }
            // A STOP or PONG that comes now belongs to a reply that ended before it arrived.
        }

        return null;
    }

    /**
     * Answers the current execution.
     *
     * @param int $codec codec bits for the frame (Frame::CODEC_*), 0 for none
     */
    public function respond(Payload $payload, int $codec = 0): void
    {
        $this->answer(Frame::pack($payload->context, $payload->body, $codec));
    }

    /**
     * Answers the current execution piece by piece. $head goes with the first piece.
     *
     * What $pieces throws comes out of here; the reply is ended before, unless nothing of it was sent yet,
     * in which case another answer is still possible.
     *
     * @param iterable<string|\Stringable> $pieces
     *
     * @return bool false when the client went away and the rest was not asked for
     */
    public function respondStream(iterable $pieces, string $head = '', int $codec = 0): bool
    {
        $begun = false;
        try {
            foreach ($pieces as $piece) {
                $begun = true;
                if (!$this->sendPiece((string) $piece, $head, $codec)) {
                    break;
                }
                $head = '';
            }
        } catch (RelayException | StateException | ProtocolException $broken) {
            throw $broken;
        } catch (\Throwable $error) {
            if ($begun) {
                $this->endStream('', $head, $codec);
            }
            throw $error;
        }

        return $this->endStream('', $head, $codec);
    }

    /**
     * Sends one piece of a streamed reply; endStream() must follow some time.
     *
     * @return bool false when the client went away: do not produce more, call endStream()
     */
    public function sendPiece(string $body, string $head = '', int $codec = 0): bool
    {
        $this->requireBusy();
        if ($this->cancelled || $this->stopArrived()) {
            return false;
        }
        $ping = $this->pieces > 0 && $this->pieces % self::PIECES_PER_PING === 0 && $this->relay->needsPing();
        $this->relay->send(Frame::pack($head, $body, $codec, Frame::STREAM | ($ping ? Frame::PING : 0)));
        $this->pieces++;

        return !$ping || $this->waitPong();
    }

    /** Ends a streamed reply with a last frame. Returns false when the client went away before. */
    public function endStream(string $body = '', string $head = '', int $codec = 0): bool
    {
        if ($this->cancelled) {
            $body = '';
        }
        $this->answer(Frame::pack($head, $body, $codec));

        return !$this->cancelled;
    }

    /** Fails the current execution with a text. The worker stays in service. */
    public function error(string $message): void
    {
        if ($this->pieces > 0) {
            throw new StateException(
                'The reply has begun, so it cannot become an error any more: end it with endStream().'
            );
        }
        $this->answer(Frame::packPlain($message, Frame::ERROR));
    }

    /**
     * Instead of an answer: asks the server to run the current execution on another worker and to replace this one.
     * Leave the loop afterwards.
     */
    public function stop(): void
    {
        $this->answer(Frame::pack('{"stop":true}', ''));
    }

    /** Whether an execution waits for its answer. */
    public function isBusy(): bool
    {
        return $this->busy;
    }

    public function getRelay(): Relay
    {
        return $this->relay;
    }

    private function answer(string $frame): void
    {
        $this->requireBusy();
        $this->busy = false;
        $this->relay->send($frame);
    }

    /** A second answer would be taken for the answer of the next execution. */
    private function requireBusy(): void
    {
        if (!$this->busy) {
            throw new StateException(
                'There is nothing to answer: the execution was answered already, or none was taken by waitPayload().'
            );
        }
    }

    /** @return bool false when the worker shall end */
    private function control(string $json): bool
    {
        $message = \json_decode($json, true);
        if (\is_array($message)) {
            if (($message['stop'] ?? null) === true) {
                return false;
            }
            if (\is_int($message['pid'] ?? null) && $message['pid'] > 0) {
                $this->relay->send(Frame::packPlain('{"pid":' . \getmypid() . '}', Frame::CONTROL));

                return true;
            }
        }

        throw new ProtocolException(
            'Unknown control message "' . \substr($json, 0, 200) . '": expected {"pid":<number>} or {"stop":true}.'
        );
    }

    private function stopArrived(): bool
    {
        // select() does not work on pipes under Windows; there only the answer to a PING tells.
        if ((\PHP_OS_FAMILY === 'Windows' && $this->relay->needsPing()) || !$this->relay->pending()) {
            return false;
        }

        return !$this->waitPong();
    }

    /** Takes the server's answer in the middle of a streamed reply. Returns false on STOP. */
    private function waitPong(): bool
    {
        $frame = $this->relay->receive();
        if ($frame === null) {
            throw new RelayException('The server closed the relay in the middle of a streamed reply.');
        }
        if ($frame->streamBits & Frame::STOP) {
            $this->cancelled = true;

            return false;
        }
        if ($frame->streamBits & Frame::PONG) {
            return true;
        }

        throw new ProtocolException(\sprintf(
            'The server sent a frame with flags 0x%02x and stream bits 0x%02x inside a streamed reply: '
            . 'expected STOP (0x02) or PONG (0x08).',
            $frame->flags,
            $frame->streamBits,
        ));
    }
}
