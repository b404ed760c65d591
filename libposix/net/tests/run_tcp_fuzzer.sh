#!/bin/sh
# run_tcp_fuzzer.sh FUZZER RUNS: a fuzzer that finds nothing in so many inputs.
exec timeout -s KILL 110 "$1" -runs="$2" -seed=1 -max_len=400 -verbosity=0 -timeout=10
