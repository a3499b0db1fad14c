#!/bin/sh
# headers.sh ROOT CC…: each public header compiles alone, as C11 and as C++17. Speaks TAP.
root=$1
shift
cxx=
for c in g++ clang++ clang++-14; do
    [ -n "$cxx" ] || ! command -v $c >/dev/null || cxx=$c
done
tmp=${TMPDIR:-/tmp}
number=0
status=0
result() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' "$tmp/out"
        status=1
    fi
}
for h in "$root"/include/doorpay/*.h; do
    name=$(basename "$h")
    echo "#include <doorpay/$name>" >"$tmp/one.c"
    cp "$tmp/one.c" "$tmp/one.cc"
    "$@" -std=c11 -pedantic -Wall -Wextra -Werror -I"$root/include" -fsyntax-only "$tmp/one.c" \
        >"$tmp/out" 2>&1
    result $? "${name}_compiles_alone_as_c11"
    if [ -n "$cxx" ]; then
        $cxx -std=c++17 -Wall -Wextra -Werror -I"$root/include" -fsyntax-only "$tmp/one.cc" \
            >"$tmp/out" 2>&1
        result $? "${name}_compiles_alone_as_cpp17"
        # What has no extern "C" cannot be called from C++.
        grep -q 'extern "C"' "$h"
        result $? "${name}_has_c_linkage"
    else
        number=$((number + 1))
        echo "ok $number - ${name}_compiles_alone_as_cpp17 # SKIP no C++ compiler"
    fi
done
echo "1..$number"
exit $status
