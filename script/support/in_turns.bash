# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# To be sourced: measuring variants in turns, so that a drift of the machine hits all of them.

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# measure_in_turns TURNS NAME...: calls `run NAME`, which prints one number, TURNS times for each.
measure_in_turns() {
    local turns=$1 turn i name
    shift
    local variants=("$@")
    for ((turn = 0; turn < 10#$turns; ++turn)); do
        for ((i = 0; i < $#; ++i)); do   # no contender always goes first
            name=${variants[(turn + i) % $#]}
            run "$name" >>"$results/$name"
        done
    done
}

# Median, quartiles, extremes.
summary() {
    sort -n | awk '
        { x[NR] = $1 }
        function quantile(q,  at, low) {
            at = 1 + q * (NR - 1); low = int(at)
            return low < NR ? x[low] + (at - low) * (x[low + 1] - x[low]) : x[NR]
        }
        END { printf "%.4f %.4f %.4f %.4f %.4f\n", quantile(0.5), quantile(0.25), quantile(0.75), x[1], x[NR] }'
}

# print_medians NAME...: a line each; what print_ratio goes by.
declare -A middle least
print_medians() {
    local name median low high first last
    for name; do
        read -r median low high first last < <(summary <"$results/$name")
        middle[$name]=$median least[$name]=$first
        printf '%-9s median %.2f, middle half %.2f to %.2f, all %.2f to %.2f\n' "$name" "$median" "$low" "$high" "$first" "$last"
    done
}

# The runs of one turn stand next to each other in time, so their ratio suffers least from the rest of the machine.
print_ratio() { # WHAT NAME BASE
    local median low high
    read -r median low high _ < <(paste "$results/$2" "$results/$3" | awk '{ print $1 / $2 }' | summary)
    awk -v what="$1" -v a="${middle[$2]}" -v b="${middle[$3]}" -v c="${least[$2]}" -v d="${least[$3]}" -v m="$median" \
        -v l="$low" -v h="$high" 'BEGIN {
        printf "%s: ratio of the medians %.4f, of the best runs %.4f, turn by turn median %.4f, middle half %.4f to %.4f\n",
            what, a / b, c / d, m, l, h }'
}
