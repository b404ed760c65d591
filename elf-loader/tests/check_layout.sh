#!/bin/sh
# Compares the layouts in dynamic/glibc_*.h with the debug information of the installed glibc
# (package libc6-dbg); without it the test is skipped (status 77).
#   check_layout.sh ARCHIVE_WITH_OUR_TYPES
set -u
object=$(mktemp) || exit 2
trap 'rm -f "$object"' EXIT
ar p "$1" link_program.cpp.o >"$object" || exit 2
runtime=/lib/x86_64-linux-gnu
# gdb_offsets FILE TYPE: "name offset" or "name byte: bit" of each plain member.
gdb_offsets() {
    gdb -batch -nx -ex 'set width 0' -ex "ptype /o $2" "$1" 2>/dev/null |
        sed -n -e 's/ : [0-9]*;$/;/' -e 's/\[[0-9]*\];$/;/' \
            -e 's/^\/\* *\([0-9][0-9: ]*[0-9]\|[0-9]\) *|[ 0-9]*\*\/    [^ ].*[ *]\([a-z_0-9]*\);$/\2 \1/p'
}
theirs=$(gdb_offsets $runtime/ld-linux-x86-64.so.2 'struct link_map')
[ -n "$theirs" ] || exit 77
ours=$(gdb_offsets "$object" "'coracle::loader::LinkMap'")
[ -n "$ours" ] || { echo "no debug information in $1"; exit 1; }
status=0
for name in $(echo "$ours" | cut -d' ' -f1); do
    here=$(echo "$ours" | grep "^$name ")
    there=$(echo "$theirs" | grep "^$name ")
    [ -z "$there" ] || [ "$here" = "$there" ] || {
        echo "link_map: ours $here, glibc's $there"
        status=1
    }
done
[ "$(echo "$ours" | wc -l)" -gt 60 ] || { echo "too few fields: $(echo "$ours" | wc -l)"; status=1; }
exit $status
