#!/bin/sh
# bare_loop.sh DIR [bare_loop options]: bare_loop on core 0 with its sink on core 1; DIR holds both
# programs.
set -eu
dir=$1
shift
clients=1000
previous=
for argument in "$@"; do
    [ "$previous" = --clients ] && clients=$argument
    previous=$argument
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkfifo "$scratch/out"
taskset -c 0 "$dir/bare_loop" "$@" >"$scratch/out" &
{
    read -r _ port
    taskset -c 1 "$dir/sink_clients" --port "$port" --clients "$clients" --seconds 3600 &
    sink=$!
    cat
    wait "$sink"
} <"$scratch/out"
