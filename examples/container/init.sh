#!/bin/sh
# Process 1 for containers that have neither an init nor tini: init.sh rrctl serve
# Passes signals on, collects processes that have lost their parents, and ends as its program does.

"$@" &
program=$!
for signal in TERM INT QUIT HUP USR1 USR2; do
  # shellcheck disable=SC2064 # The number is known now.
  trap "kill -$signal $program 2>/dev/null" $signal
done

# A signal ends the waiting; the program is waited for until it is gone.
while :; do
  wait "$program"
  status=$?
  kill -0 "$program" 2>/dev/null || exit "$status"
done
