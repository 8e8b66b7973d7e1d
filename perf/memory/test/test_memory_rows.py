# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What rows say, and what --check makes of them."""
import pathlib
import sys
import unittest

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here.parent), str(here.parent.parent / "bench")]

from measure import rows  # noqa: E402
from measure.rows import Row  # noqa: E402


class Rows(unittest.TestCase):
    def test_a_bar_is_met_up_to_itself(self):
        self.assertEqual(Row("a", "b", 1.1, 1.1).verdict, "met")
        self.assertEqual(Row("a", "b", 1.11, 1.1).verdict, "NOT MET")
        self.assertEqual(Row("a", "b", 47.0, 48.0, least=True).verdict, "NOT MET")
        self.assertEqual(Row("a", "b", 48.0, 48.0, least=True).verdict, "met")

    def test_what_was_not_measured_is_neither(self):
        self.assertIsNone(Row("a", "b", bar=1.0, note="why").met)
        self.assertEqual(Row("a", "b", bar=1.0, note="why").verdict, "not measured")
        self.assertEqual(Row("a", "b", 3.0).verdict, "-")

    def test_a_program_that_failed_is_a_bar_not_met(self):
        row = Row("a", "b", bar=1.0, failed=True, note="ended by signal 11")
        self.assertEqual((row.met, row.verdict), (False, "FAILED"))
        self.assertEqual(rows.exit_code([Row("a", "b", 1.0, 1.0), row]), 1)

    def test_check_needs_something_measured(self):
        self.assertEqual(rows.exit_code([Row("a", "b", 3.0)]), 0)
        self.assertEqual(rows.exit_code([Row("a", "b", 1.0, 1.0), Row("a", "c", bar=1.0)]), 0)
        self.assertEqual(rows.exit_code([Row("a", "b", 1.0, 1.0), Row("a", "c", 2.0, 1.0)]), 1)
        self.assertEqual(rows.exit_code([Row("a", "c", bar=1.0)]), 1)
        self.assertEqual(rows.exit_code([]), 1)

    def test_figures_are_short_and_say_their_unit(self):
        self.assertEqual(rows.figure(141382.4, "MiB"), "141,382 MiB")
        self.assertEqual(rows.figure(1.0345, ""), "1.03")
        self.assertEqual(rows.figure(0.000213, ""), "0.000213")
        self.assertEqual(rows.figure(0.0, ""), "0")
        self.assertEqual(rows.figure(None, "MiB"), "-")

    def test_tables_have_a_line_a_row(self):
        made = [Row("speed", "time of a | b", 1.0, 1.0), Row("waste", "held", 2.0, 1.5, note="best other: 1.5 of glibc")]
        self.assertEqual(len(rows.as_text(made).splitlines()), 3)
        self.assertIn("| waste | held | 2 | <= 1.5 | NOT MET | best other: 1.5 of glibc |", rows.as_markdown(made))
        self.assertIn("a \\| b", rows.as_markdown(made))
        self.assertEqual(rows.summary(made), "1 bars met, 1 not met, 0 rows not measured")


if __name__ == "__main__":
    unittest.main()
