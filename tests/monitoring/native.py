#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a real Prometheus that takes native histograms against a live process behind `tslab serve`, and asks it what a phase costs.

The demo allocates 4 MiB in each phase `request`, and 8 MiB in the one phase `batch`."""
import argparse
import contextlib
import math
import pathlib
import subprocess
import sys
import tempfile

import live

MIB = 2**20
FAILURES = []


def expect(what, holds, seen):
    if not holds:
        FAILURES.append(f"{what}: {seen}")


def value(prometheus, expression):
    """The only one; an error of the query ends the test."""
    error, values = prometheus.samples(expression)
    if error:
        sys.exit(f"{expression}: {error}")
    return values[0] if len(values) == 1 else None


def check(prometheus):
    def wait(expression, holds):
        """Figures of a process that runs are read one after the other, so two may once differ by a phase that ends meanwhile."""
        def ready():
            v = value(prometheus, expression)
            return v is not None and holds(v) and [v]
        return prometheus.wait(f"{expression}, at first {value(prometheus, expression)}", ready)[0]

    wait('histogram_count(temporal_slab_phase_bytes{label="request"})', lambda n: n >= 100)
    for figure in ("objects", "bytes", "peak_bytes", "seconds"):
        counted = f'histogram_count(temporal_slab_phase_{figure}{{label="request"}})'
        wait(f'{counted} / on (label) temporal_slab_phases_total', lambda ratio: ratio == 1)
    wait('histogram_sum(temporal_slab_phase_bytes{label="request"}) / histogram_count(temporal_slab_phase_bytes{label="request"})',
         lambda mean: mean == 4 * MIB)
    wait('histogram_count(rate(temporal_slab_phase_bytes{label="request"}[10s])) / on (label) rate(temporal_slab_phases_total[10s])',
         lambda ratio: math.isclose(ratio, 1, rel_tol=0.01))
    for quantile, least, most in ((0.01, 4 * MIB, 4.2 * MIB), (0.99, 7.8 * MIB, 8 * MIB)):   # as classic buckets have them
        seen = wait(f'histogram_quantile({quantile}, rate(temporal_slab_phase_bytes{{label="request"}}[10s]))', math.isfinite)
        expect(f"the quantile {quantile}", least <= seen <= most, seen)
    seen = wait('histogram_quantile(1, temporal_slab_phase_bytes{label="batch"})', math.isfinite)
    expect("the largest batch", math.isclose(seen, 16 * MIB), seen)
    seen = wait('histogram_quantile(1, temporal_slab_phase_seconds{label="request"}) / on (label) temporal_slab_phase_seconds_max',
                math.isfinite)
    expect("the longest phase", 15 / 16 <= seen <= 2.2, seen)
    for classic, series in (("temporal_slab_phase_bytes_bucket", None), ("temporal_slab_alloc_wall_seconds_bucket", 39)):
        seen = value(prometheus, f"count({classic})")
        expect(f"series of {classic}", seen == series, seen)
    seen = value(prometheus, 'min_over_time(up{job="demo"}[1m])')
    expect("scrapes that failed", seen == 1, seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the root of the repository")
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--demo", required=True)
    parser.add_argument("--serve", metavar="TSLAB", required=True)
    parser.set_defaults(target=None)
    arguments = parser.parse_args()
    arguments.source = arguments.source.resolve()
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tslab-prometheus-"))
        demo = stack.enter_context(live.running([arguments.demo, "--leak-after", "900", "--seconds", "900"],
                                                stdout=subprocess.PIPE, text=True))
        if (word := demo.stdout.readline()) != "ready\n":   # before that, `serve` would find no heap in it
            sys.exit(f"the demo said {word!r}")
        where = stack.enter_context(live.endpoint(arguments, demo, scratch))
        check(stack.enter_context(live.scraping(arguments, where, scratch, options=["--enable-feature=native-histograms"])))
    if FAILURES:
        sys.exit("\n".join(FAILURES))
    print("the native histograms say what the process did")


if __name__ == "__main__":
    main()
