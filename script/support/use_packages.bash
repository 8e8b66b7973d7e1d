#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs in a bare Debian tree, as root, for script/test-packages: uses the packages in /root/packages on the programs in /root/headers.
set -euo pipefail
cd /root/headers

failures=0
check() { # WHAT COMMAND...: the command succeeds
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf '  ok      %s\n' "$what"
    else
        printf '  FAILED  %s\n%s\n' "$what" "$output"
        failures=$((failures + 1))
    fi
}
check_text() { # WHAT PATTERN COMMAND...: the command succeeds and its output matches
    local what=$1 pattern=$2 output
    shift 2
    if output=$("$@" 2>&1) && grep -Eq "$pattern" <<<"$output"; then
        printf '  ok      %s: %s\n' "$what" "$(grep -Eom1 ".{0,60}($pattern).{0,60}" <<<"$output" || grep -Em1 "$pattern" <<<"$output")"
    else
        printf '  FAILED  %s: not in its output: %s\n%s\n' "$what" "$pattern" "$output"
        failures=$((failures + 1))
    fi
}
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
install() { apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" >/root/apt.log 2>&1 || { tail -n 20 /root/apt.log; exit 1; }; }

# What a C++ programmer has. The compiler is counted.
install g++ make pkgconf
cat >/usr/local/bin/g++ <<'END'
#!/bin/sh
echo "$*" >>/root/compilations
exec /usr/bin/g++ "$@"
END
chmod +x /usr/local/bin/g++
: >/root/compilations

# The quick-start of docs/quick-start.md, command by command: it installs the packages.
start=$(now)
check 'the quick-start of the packages' env -C /root/packages bash /root/quick-start.bash
printf '  %s s from `apt install ./libtslab-dev*.deb` to the first compiled program that has run, %s compiler invocation(s), by %s\n' \
    "$(since "$start")" "$(wc -l </root/compilations)" "$(/usr/bin/g++ --version | head -n 1)"
check 'one compiler invocation' test "$(wc -l </root/compilations)" = 1
rm /usr/local/bin/g++
hash -r

check 'C++ by make and pkg-config, compiled' make -s program
check_text 'C++ by make and pkg-config' '^in C\+\+: 4900 letters in a phase, .*: yes, .*: yes$' ./program
check_text 'the program links the package' 'libtslab\.so\.0 => /(usr/)?lib/[^ ]*libtslab\.so\.0' ldd program
check 'C by make and pkg-config' make -s program_c
check_text 'the C program' '^in C: 100 live objects, then 0' ./program_c
check 'C by the names of the original' make -s temporal
check_text 'that program' "^by the specification's names: 100 live objects, then 0" ./temporal
check 'C, statically' make -s -B program_c PKG_CONFIG_FLAGS=--static LDFLAGS=-static
check_text 'the static C program' '^in C: 100 live objects, then 0' ./program_c
check_text 'pkg-config knows the version' "^$(dpkg-query -W -f '${Version}' libtslab-dev | sed 's/-.*//')\$" pkg-config --modversion tslab

install cmake
check 'CMake project, configured' cmake -S . -B /root/build -G 'Unix Makefiles'
check 'CMake project, built' cmake --build /root/build
check_text "CMake project, run ($(cmake --version | head -n 1), GCC, Unix Makefiles)" '100% tests passed' ctest --test-dir /root/build
check 'CMake project of C alone, configured' cmake -S . -B /root/build-c -G 'Unix Makefiles' -D ONLY_C=ON -D LIBRARY=static
check 'CMake project of C alone, built' cmake --build /root/build-c
check_text 'CMake project of C alone, run' '100% tests passed' ctest --test-dir /root/build-c

install /root/packages/tslab-tools_*.deb
make -s -B program_c
coproc holder { exec ./program_c hold; }
holder_pid=$!
read -r ready <&"${holder[0]}"
[[ $ready == ready ]] || { echo "the C program does not hold its heap"; exit 1; }
check_text 'tslab ps' "^ *$holder_pid .*program_c" tslab ps
check_text 'tslab stats of the C program' 'live +[0-9.]+ KiB in 100 objects' tslab stats "$holder_pid"
check_text 'tslab epochs of the C program' 'GET /orders' tslab epochs "$holder_pid"
check_text 'stats_dump of the C program' '"live_objects":100,' stats_dump "$holder_pid" --json
eval "exec ${holder[1]}>&-"
wait "$holder_pid" || :
check 'manual pages' test -e /usr/share/man/man1/tslab.1.gz -a -e /usr/share/man/man1/stats_dump.1.gz
check 'completion for bash' bash -c 'source /usr/share/bash-completion/completions/tslab && complete -p tslab'
check 'rules and dashboards' test -e /usr/share/tslab/monitoring/rules/alerts.yml -a -d /usr/share/tslab/monitoring/grafana
unit=/usr/lib/systemd/system/tslab-textfile.service
[[ -e $unit ]] || unit=/lib/systemd/system/tslab-textfile.service
check 'the systemd unit starts the installed program' test -x "$(sed -nE 's/^ExecStart=([^ ]+) .*/\1/p' "$unit")"
check 'copyright files' ls /usr/share/doc/libtslab0/copyright /usr/share/doc/libtslab-dev/copyright /usr/share/doc/tslab-tools/copyright

check 'removal' apt-get -qq -y purge libtslab0 libtslab-dev tslab-tools
check 'nothing is left' bash -c '! find / -xdev -path /proc -prune -o -path "/root*" -prune -o -name "*tslab*" -print | grep -v /var/ | grep .'

if ((failures > 0)); then
    printf '  %d of the checks failed\n' "$failures"
    exit 1
fi
