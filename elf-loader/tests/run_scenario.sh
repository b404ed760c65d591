#!/bin/sh
# Runs a scenario's program natively and through the libc image, and compares what it prints and
# how it ends.
#   run_scenario.sh HOW IMAGE PROGRAM STATUS [NAME=VALUE...] [-- ARGUMENT...]
# HOW: native (only), command (IMAGE PROGRAM), interpreter (PROGRAM names IMAGE as PT_INTERP), or
# vm (IMAGE is the command coracle, which runs PROGRAM in a VM).
# STATUS is what the program must exit with in every case.
set -u
how=$1 image=$2 program=$3 status=$4
shift 4
environment=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    environment="$environment $1"
    shift
done
[ $# -gt 0 ] && shift
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
case $program in
/usr/*) copy=$work/program ;;  # A program of the system: nothing is found beside it.
*)
    cd "$(dirname "$program")" || exit 2
    copy=$program.image-$$
    ;;
esac

# run NAME COMMAND...: stdout and stderr together, in order, then the status.
run() {
    result=$1
    shift
    timeout 60 env $environment "$@" >"$work/$result" 2>&1
    echo "status $?" >>"$work/$result"
}

# Lazy binding is the default of this test, whatever the caller's environment says.
unset LD_BIND_NOW LD_PRELOAD LD_LIBRARY_PATH
run native "$program" "$@"
tail -n 1 "$work/native" | grep -qx "status $status" || {
    cat "$work/native"
    echo "native run: expected status $status"
    exit 1
}
case $how in
native) exit 0 ;;
vm)
    folder=$(dirname "$program")
    settings=
    for setting in $environment; do settings="$settings -e $setting"; done
    environment=
    run image "$image" run -v "$folder" -w "$folder" $settings "$program" "$@"
    ;;
command) run image "$image" "$program" "$@" ;;
interpreter)
    # The same name in another place: messages hold argv[0], and $ORIGIN is the same folder.
    trap 'rm -rf "$work" "$copy"' EXIT
    cp "$program" "$copy"
    patchelf --set-interpreter "$image" "$copy" || exit 2
    settings=$environment environment=
    run image bash -c 'export CORACLE_TEST=1 $3; exec -a "$1" "$2" "${@:4}"' - "$program" \
        "$copy" "$settings" "$@"
    ;;
esac
diff -u "$work/native" "$work/image"
