#!/bin/sh
# run_erofs_fuzzer.sh FUZZER RUNS: fuzzes from a small image as the first input.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/directory" "$work/corpus"
echo text > "$work/tree/directory/file"
head -c 5000 /dev/zero > "$work/tree/zeros"
ln -s directory/file "$work/tree/link"
mkfs.erofs --quiet -T0 "$work/corpus/image" "$work/tree"
"$1" -runs="$2" -seed=1 -max_len=32768 -artifact_prefix="$work/" "$work/corpus"
