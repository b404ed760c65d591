# For ./coracle and ./test, which source it from the top of the tree: the packages that are needed,
# and the build. Silent unless something fails; then it exits with 125.

build=build/release

# need_packages LIST...: installs what these lists name and the machine lacks.
need_packages() {
    local stamp=build/.packages list wanted=() missing=() name
    stamp+=$(printf -- '-%s' "${@##*/}")
    local fresh=1
    for list in "$@"; do [ "$stamp" -nt "$list" ] || fresh=0; done
    [ $fresh = 1 ] && return
    mapfile -t wanted < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$@")
    for name in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
            missing+=("$name")
    done
    mkdir -p build
    if [ ${#missing[@]} -gt 0 ]; then
        local as_root=()
        if [ "$(id -u)" != 0 ]; then
            if ! sudo -n true 2>/dev/null; then
                echo "coracle: packages are missing; run this once:" >&2
                echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
                exit 125
            fi
            as_root=(sudo -n)
        fi
        local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get
            install -y --no-install-recommends "${missing[@]}")
        if ! "${install[@]}" >build/packages.log 2>&1 </dev/null &&
            ! { "${as_root[@]}" apt-get update && "${install[@]}"; } \
                >build/packages.log 2>&1 </dev/null
        then
            tail -n 20 build/packages.log >&2
            echo "coracle: could not install: ${missing[*]}" >&2
            exit 125
        fi
        rm -f "$build/build.ninja"  # what was missing when it was made may be there now
    fi
    touch "$stamp"
}

# build_targets TARGET...: configures when there is no build yet, and builds what is stale. The
# tests join with the target `all`: without them fewer packages do.
build_targets() {
    mkdir -p "$build"
    if [ ! -f "$build/build.ninja" ] && [ -t 2 ]; then
        echo "coracle: building for the first time; this takes a few minutes" >&2
    fi
    exec 9>"$build/.lock"
    flock 9
    if ! build_locked "$@" >"$build/build.log" 2>&1 </dev/null; then
        rm -f build/.packages*
        grep -E -A12 'FAILED|error|Error' "$build/build.log" |
            awk 'length < 400' | head -n 60 >&2
        echo "coracle: the build failed; all it said is in $build/build.log" >&2
        exit 125
    fi
    exec 9>&-
}

build_locked() {
    local cache=$build/CMakeCache.txt tests=()
    if [ "$1" = all ]; then
        grep -qs '^BUILD_TESTING:BOOL=ON' "$cache" || tests=(-DBUILD_TESTING=ON)
    elif [ ! -f "$cache" ]; then
        tests=(-DBUILD_TESTING=OFF)
    fi
    if [ ! -f "$build/build.ninja" ] || [ ${#tests[@]} -gt 0 ]; then
        cmake --preset release "${tests[@]}" || return
    fi
    ninja -C "$build" "$@"
}
