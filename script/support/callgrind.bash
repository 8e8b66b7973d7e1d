# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# To be sourced: counting instructions with callgrind.

# instructions_per_step FEW MANY PROGRAM ARGUMENT...: how many instructions PROGRAM executes for each step, where the
# argument N says how many steps it makes: the difference of two runs, of FEW and of MANY steps, so that start and end
# cancel out.
instructions_per_step() (
    set -e   # a command substitution does not inherit it
    few=$1 many=$2 program=$3
    shift 3
    command -v valgrind >/dev/null || { echo "valgrind is not installed; run script/bootstrap" >&2; exit 2; }

    # A copy without debug information: Debian 12's valgrind cannot read what clang 19 writes.
    copy=$(mktemp)
    trap 'rm -f "$copy"' EXIT
    objcopy --strip-debug "$program" "$copy"
    chmod +x "$copy"

    count() { # STEPS ARGUMENT...
        local steps=$1 out argument arguments=()
        shift
        for argument; do
            [[ $argument == N ]] && arguments+=("$steps") || arguments+=("$argument")
        done
        out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$copy" "${arguments[@]}" 2>&1) ||
            { echo "callgrind failed:" >&2; printf '%s\n' "$out" >&2; exit 1; }
        printf '%s\n' "$out" | awk '/Collected/ { print $4 }'
    }
    least=$(count "$few" "$@")
    most=$(count "$many" "$@")
    awk -v a="$least" -v b="$most" -v n=$((many - few)) 'BEGIN { printf "%.1f\n", (b - a) / n }'
)
