# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of script/bench."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from driver import figures  # noqa: E402


class Percentiles(unittest.TestCase):
    def test_of_nothing_is_none(self):
        self.assertIsNone(figures.percentile([], 0.5))

    def test_of_one_value_is_that_value(self):
        self.assertEqual(figures.percentile([[10, 1000]], 0.5), 10)
        self.assertEqual(figures.percentile([[10, 1000]], 0.999), 10)

    def test_of_a_fine_histogram_is_that_of_its_values(self):
        histogram = [[value, 1] for value in range(1, 10_001)]
        for share in (0.5, 0.99, 0.999, 0.9999):
            self.assertAlmostEqual(figures.percentile(histogram, share), share * 10_000, delta=1)

    def test_is_spread_between_the_steps_of_a_clock(self):
        # Readings of 0, 10 and 20, of something that takes 12: four fifths are 10, one fifth is 20.
        self.assertAlmostEqual(figures.percentile([[0, 1], [10, 799], [20, 200]], 0.5), 11.2, delta=0.5)

    def test_sees_a_rare_value(self):
        histogram = [[10, 9980], [500, 20]]
        self.assertGreater(figures.percentile(histogram, 0.999), 250)
        self.assertLess(figures.percentile(histogram, 0.99), 260)

    def test_never_falls(self):
        histogram = [[0, 5], [10, 50], [20, 40], [80, 4], [1000, 1]]
        found = [figures.percentile(histogram, share / 1000) for share in range(1, 1001)]
        self.assertEqual(found, sorted(found))

    def test_histograms_merge_by_value(self):
        self.assertEqual(figures.merge([[1, 2], [5, 1]], [[1, 3], [4, 1]]), [[1, 5], [4, 1], [5, 1]])


class Medians(unittest.TestCase):
    def test_pass_over_what_is_not_known(self):
        self.assertEqual(figures.median([3, None, 1, 2]), 2)
        self.assertIsNone(figures.median([None]))
        self.assertIsNone(figures.median([]))

    def test_ratio_needs_both_sides(self):
        self.assertEqual(figures.ratio(1, 2), 0.5)
        self.assertIsNone(figures.ratio(None, 2))
        self.assertIsNone(figures.ratio(1, None))
        self.assertIsNone(figures.ratio(1, 0))


class Rows(unittest.TestCase):
    def test_throughput_is_the_median_of_the_rounds_with_its_extremes(self):
        runs = [{"ns_per_op": 3.0}, {"ns_per_op": 1.0}, {"ns_per_op": 2.0}]
        row = figures.make_rows({("pair", 1, "glibc"): {"throughput": runs}})[0]
        self.assertEqual((row["ns_per_op_median"], row["ns_per_op_min"], row["ns_per_op_max"]), (2.0, 1.0, 3.0))
        self.assertEqual(figures.spread(row), 0.5)
        self.assertIsNone(row["p999_ns"])
        self.assertIsNone(row["rss_peak_bytes"])
        self.assertNotIn("cas_retries_per_op", row)

    def test_contention_is_counted_for_each_operation_and_each_lock(self):
        runs = [{"ns_per_op": 1.0, "operations": 1000, "cas_retries": 2, "locks_free": 30, "locks_contended": 10}]
        row = figures.make_rows({("pair", 16, "tslab"): {"throughput": runs}})[0]
        self.assertEqual(row["cas_retries_per_op"], 0.002)
        self.assertEqual(row["lock_contention"], 0.25)
        self.assertEqual(row["locks_per_op"], 0.04)

    def test_latency_has_both_sides_and_their_sum(self):
        run = {"allocate": [[10, 100]], "deallocate": [[30, 100]], "max_ns": 77, "clock_ns": 20, "clock_step_ns": 10}
        row = figures.make_rows({("pair", 1, "tslab"): {"latency": [run]}})[0]
        self.assertEqual((row["alloc_p50_ns"], row["free_p50_ns"], row["max_ns"]), (10, 30, 77))
        self.assertEqual(row["p50_ns"], 20)

    def test_memory_is_above_base_for_each_live_byte(self):
        run = {"base": 1000, "peak": 5000, "drained": 2000, "trimmed": 0, "live": 1500, "at_live": 4000, "early": 2000,
               "late": 2100, "phases": 2000}
        row = figures.make_rows({("json", 1, "glibc"): {"memory": [run]}})[0]
        self.assertEqual(row["held_per_live"], 2)
        self.assertAlmostEqual(row["drift"], 0.05)
        self.assertIsNone(row["rss_trimmed_bytes"])


class Tables(unittest.TestCase):
    def setUp(self):
        self.table = figures.Table([
            {"pattern": "pair", "threads": 1, "contender": name, "ns_per_op_median": value}
            for name, value in (("tslab", 5.0), ("glibc", 20.0), ("mimalloc", 10.0), ("monotonic-heap", 1.0), ("odd", None))
        ], ["glibc", "mimalloc", "odd"])

    def test_the_best_peer_is_a_general_purpose_one(self):
        self.assertEqual(self.table.best_peer(("pair", 1), "ns_per_op_median"), ("mimalloc", 10.0))
        self.assertEqual(self.table.ratio(("pair", 1)), 0.5)

    def test_nothing_is_said_of_what_was_not_measured(self):
        self.assertEqual(self.table.best_peer(("pair", 2), "ns_per_op_median"), (None, None))
        self.assertIsNone(self.table.ratio(("pair", 2)))


if __name__ == "__main__":
    unittest.main()
