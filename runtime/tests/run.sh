#!/bin/sh
# Builds every test with a compiler, runs it, and prints "N passed, M failed" last; status 1 if anything failed.
#   run.sh [CC [flags...]]           CC may be several words in one argument, such as "zig cc -target aarch64-linux-musl"
#   QD_RUNNER                        runs the programs, such as qemu-aarch64
#   QD_TESTS                         which tests; default: all
#   QD_FREESTANDING=0                leaves out the check that the library needs no C library
set -u
here=$(cd "$(dirname "$0")" && pwd)
runtime=$(dirname "$here")
cc=${1:-gcc}
[ $# -gt 0 ] && shift
strict="-std=c11 -Wall -Wextra -Wconversion -Wshadow -Wcast-align -Wvla -Wstrict-prototypes -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

count() { # adds the "N passed, M failed" of a program's last line; a program that dies counts as one failure
    line=$(tail -n 1 "$work/log")
    p=$(printf '%s\n' "$line" | sed -n 's/.*: \([0-9]*\) passed, [0-9]* failed$/\1/p')
    f=$(printf '%s\n' "$line" | sed -n 's/.*: [0-9]* passed, \([0-9]*\) failed$/\1/p')
    passed=$((passed + ${p:-0}))
    failed=$((failed + ${f:-1}))
    [ "$1" -ne 0 ] && [ "${f:-0}" -eq 0 ] && [ -n "$f" ] && failed=$((failed + 1))
}

# The library once, strictly; optimised like the shipped one unless the caller says otherwise.
mkdir "$work/objects"
for source in "$runtime"/src/*.c "$runtime"/src/kernels/*.c; do
    # shellcheck disable=SC2086
    $cc $strict -O2 -ffp-contract=off "$@" -I"$runtime/include" -I"$runtime/src" -c "$source" \
        -o "$work/objects/$(basename "$source" .c).o" || failed=$((failed + 1))
done

for test in ${QD_TESTS:-kernels ops math conv verify file planes move island threads}; do
    # shellcheck disable=SC2086
    if $cc $strict -O2 -ffp-contract=off "$@" -I"$runtime/include" -I"$runtime/src" -I"$here" "$here/test_$test.c" \
        "$runtime/port/posix_pool.c" "$work"/objects/*.o -o "$work/$test" -lm -pthread; then
        # shellcheck disable=SC2086
        ${QD_RUNNER:-} "$work/$test" >"$work/log" 2>&1
        status=$?
        cat "$work/log"
        count $status
    else
        echo "$test: does not compile"
        failed=$((failed + 1))
    fi
done

for tool in qd_run qd_bench; do
    # shellcheck disable=SC2086
    if $cc $strict -O2 -ffp-contract=off "$@" -I"$runtime/include" "$runtime/tools/$tool.c" "$runtime/port/posix.c" \
        "$runtime/port/posix_pool.c" "$work"/objects/*.o -o "$work/$tool" -pthread && ${QD_RUNNER:-} "$work/$tool" --version; then
        passed=$((passed + 1))
    else
        echo "$tool: does not build or start"
        failed=$((failed + 1))
    fi
done

# Without a C library: nothing may be missing but what compilers themselves call.
if [ "${QD_FREESTANDING:-1}" = 1 ]; then
    mkdir "$work/bare"
    for source in "$runtime"/src/*.c "$runtime"/src/kernels/*.c; do
        # shellcheck disable=SC2086
        $cc $strict -O2 -ffp-contract=off -ffreestanding -nostdlib -I"$runtime/include" -I"$runtime/src" -c "$source" \
            -o "$work/bare/$(basename "$source" .c).o" || failed=$((failed + 1))
    done
    nm -g "$work"/bare/*.o | awk 'NF == 3 && $2 != "U" { defined[$3] = 1 } NF == 2 && $1 == "U" { used[$2] = 1 }
        END { for (name in used) if (!(name in defined)) print name }' |
        grep -vx -e memcpy -e memset -e memcmp -e memmove -e _GLOBAL_OFFSET_TABLE_ >"$work/missing"
    writable=$(nm "$work"/bare/*.o | awk 'NF == 3 && $2 ~ /^[BbDdCc]$/ { print $3 }')
    if [ -s "$work/missing" ] || [ -n "$writable" ]; then
        echo "freestanding: undefined: $(tr '\n' ' ' <"$work/missing"); writable data: $writable"
        failed=$((failed + 1))
    else
        echo "freestanding: nothing undefined but memcpy, memset, memcmp, memmove; no writable data"
        passed=$((passed + 1))
    fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
