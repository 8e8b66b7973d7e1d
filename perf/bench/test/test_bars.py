# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What --check makes of figures."""
import contextlib
import io
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from driver import bars, figures  # noqa: E402


def row(pattern, threads, contender, **values):
    return {"pattern": pattern, "threads": threads, "contender": contender, **dict.fromkeys(figures.FIELDS), **values}


def judge(*rows):
    """{name: met} of all bars about these rows."""
    return {bar.name: bar.met for bar in bars.judge(figures.Table(list(rows), ["glibc", "mimalloc"]))}


def speeds(pattern, threads, ours, theirs, **more):
    return judge(row(pattern, threads, "tslab", ns_per_op_median=ours),
                 row(pattern, threads, "glibc", ns_per_op_median=theirs), *more.get("rows", ()))


def tell(judged):
    with contextlib.redirect_stdout(io.StringIO()):
        return bars.tell(judged)


class Bars(unittest.TestCase):
    def test_a_bar_of_time_is_that_of_the_kind_of_pattern(self):
        for pattern, threads, most in (("pair", 1, 11.5), ("sizes/64K", 16, 11.5), ("larson", 2, 13), ("server", 1, 10),
                                       ("fifo_100k", 1, 6), ("fifo_100k", 2, 10)):
            name = f"time of {pattern} x{threads}"
            self.assertTrue(speeds(pattern, threads, most, 10)[name])
            self.assertFalse(speeds(pattern, threads, most + 0.1, 10)[name])

    def test_no_plain_row_may_be_much_slower(self):
        found = speeds("pair", 1, 10, 10, rows=[row("kernel", 2, "tslab", ns_per_op_median=13),
                                                row("kernel", 2, "glibc", ns_per_op_median=10)])
        self.assertFalse(found["time of the slowest plain row"])
        self.assertTrue(speeds("pair", 1, 12.5, 10)["time of the slowest plain row"])
        self.assertNotIn("time of the slowest plain row", speeds("server", 1, 10, 10))

    def test_those_that_check_frees_have_bars_of_their_own(self):
        def against(pattern, ours):
            rows = [row(pattern, 1, name, ns_per_op_median=value) for name, value in (("tslab", ours), ("glibc", 1), ("scudo", 10))]
            judged = bars.judge(figures.Table(rows, ["glibc"], ["scudo"]))
            return {bar.name: bar.met for bar in judged}[f"time of {pattern} x1 against those that check frees"]
        self.assertTrue(against("pair", 7))
        self.assertFalse(against("pair", 7.1))
        self.assertTrue(against("larson", 10))
        self.assertFalse(against("larson", 10.1))
        self.assertFalse(any("check frees" in name for name in speeds("pair", 1, 1, 10)))

    def test_scopes_are_also_held_against_a_monotonic_buffer_and_pairs(self):
        other = row("scope_8", 1, "monotonic-heap", ns_per_op_median=8)
        found = speeds("scope_8", 1, 6, 10, rows=[other])
        self.assertNotIn("time of scope_8 x1", found)
        self.assertFalse(found["time of scope_8 x1 against monotonic-heap"])
        for ours, met in ((80, True), (81, False)):
            found = judge(row("scope_empty", 1, "tslab", ns_per_op_median=ours), row("pair", 1, "tslab", ns_per_op_median=10))
            self.assertEqual(found["time of an empty scope in pairs"], met)
            self.assertNotIn("time of scope_empty x1", found)

    def test_without_a_peer_there_is_no_verdict(self):
        self.assertIsNone(judge(row("pair", 1, "tslab", ns_per_op_median=5))["time of pair x1"])

    def test_tails_are_judged_with_1_and_16_threads(self):
        for threads, judged in ((1, True), (2, False), (16, True)):
            found = judge(row("pair", threads, "tslab", p999_ns=81), row("pair", threads, "glibc", p999_ns=40))
            self.assertEqual(f"p99.9 of pair x{threads}" in found, judged)
            self.assertFalse(found.get(f"p99.9 of pair x{threads}"))

    def test_one_tail_in_six_may_be_longer(self):
        def found(longer):
            return judge(*(row(f"sizes/{i}", 1, name, p999_ns=50 if name == "glibc" else 51 if i < longer else 50)
                           for i in range(6) for name in ("tslab", "glibc")))
        self.assertTrue(found(1)["rows whose p99.9 is longer than the best peer's"])
        self.assertFalse(found(2)["rows whose p99.9 is longer than the best peer's"])
        self.assertTrue(found(2)["p99.9 of sizes/0 x1"])

    def test_what_stays_after_the_drain_is_counted_above_the_start(self):
        def drained(ours, theirs):
            return judge(*(row("json", 1, name, rss_base_bytes=base, rss_peak_bytes=9e6, rss_drained_bytes=base + left,
                               drift=0.0, phases=2000, held_per_live=held)
                           for name, base, left, held in (("tslab", 5e6, ours, 1.2), ("glibc", 1e6, theirs, 1.5),
                                                          ("mimalloc", 1e6, theirs * 2, 1.3))))
        found = drained(50_000, 100_000)
        self.assertTrue(found["left after the drain of json x1"])
        self.assertTrue(found["held per live byte of json x1 against mimalloc"])
        self.assertFalse(drained(51_000, 100_000)["left after the drain of json x1"])
        self.assertTrue(drained(-10, 9000)["left after the drain of json x1"])   # a page at least

    def test_drift_must_stay_below_a_hundredth(self):
        def drift(value):
            return judge(row("burst", 1, "tslab", rss_base_bytes=1, rss_peak_bytes=1, rss_drained_bytes=1, drift=value,
                             phases=2000))["drift of burst x1"]
        self.assertTrue(drift(0.009))
        self.assertTrue(drift(-0.5))
        self.assertFalse(drift(0.01))

    def test_absolute_bars(self):
        found = judge(row("fifo_1m_touched", 1, "tslab", p50_ns=8, p99_ns=24.5),
                      row("pair", 16, "tslab", cas_retries_per_op=0.0037, lock_contention=0.076))
        self.assertTrue(found["p50 of fifo_1m_touched x1, ns"])
        self.assertFalse(found["p99 of fifo_1m_touched x1, ns"])
        self.assertTrue(found["CAS retries per operation of pair x16"])
        self.assertFalse(found["lock contention of pair x16"])

    def test_one_bar_missed_is_exit_code_1_and_nothing_judged_too(self):
        met, missed, unknown = bars.Bar("a", 1, 1), bars.Bar("b", 2, 1), bars.Bar("c", None, 1)
        self.assertEqual(tell([met, unknown]), 0)
        self.assertEqual(tell([met, missed]), 1)
        self.assertEqual(tell([]), 1)
        self.assertIn("NOT MET", bars.as_line(missed))
        self.assertIn("no data", bars.as_line(unknown))


if __name__ == "__main__":
    unittest.main()
