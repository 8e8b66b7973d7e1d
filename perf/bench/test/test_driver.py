# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of script/bench, and who takes part."""
import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from driver import contenders, machine, main, options, runner, table, figures  # noqa: E402

PLAIN = {"name": "pair", "phases": 0, "crossing": 0, "memory": 0, "least_threads": 1, "most_threads": 1024,
         "pairs": 0}
PHASES = PLAIN | {"name": "request", "phases": 1, "memory": 1}
CROSSING = PLAIN | {"name": "larson", "crossing": 1}


def refusal(*arguments):
    """(exit code, what is said) of a wrong command line."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            code = main.main(list(arguments), "/no/such/root")
        except SystemExit as end:
            code = end.code
    return code, said.getvalue()


class CommandLine(unittest.TestCase):
    def assert_refused(self, arguments, what):
        code, said = refusal(*arguments)
        self.assertEqual(code, 2)
        self.assertIn(what, said)
        self.assertEqual(said.count("\n"), 1, said)

    def test_mistakes_are_one_line_and_exit_code_2(self):
        self.assert_refused(["--no-such-flag"], "--no-such-flag")
        self.assert_refused(["--threads", "two"], "--threads")
        self.assert_refused(["--threads", "0"], "256")
        self.assert_refused(["--rounds", "0"], "--rounds")
        self.assert_refused(["--peer", "nothing"], "NAME=PATH")
        self.assert_refused(["--peer", "a b=/x"], "letters")
        self.assert_refused(["--protected-peer", "nothing"], "NAME=PATH")
        self.assert_refused(["--kinds", "speed"], "speed")
        self.assert_refused(["--patterns", ","], "--patterns")
        self.assert_refused(["--json", "/no/such/folder/x.json"], "cannot write")
        self.assert_refused(["--plots", "/proc/nothing"], "cannot make")

    def test_a_missing_build_says_how_to_make_it(self):
        self.assert_refused(["--quick"], "is not built")

    def test_quick_takes_a_selection(self):
        chosen = options.parse(["--quick"])
        self.assertIn("request", chosen.patterns)
        self.assertEqual((chosen.rounds, chosen.threads), (3, [1, 16]))
        self.assertEqual(options.parse(["--quick", "--patterns", "pair"]).patterns, ["pair"])
        self.assertEqual(options.parse(["--quick", "--rounds", "9"]).rounds, 9)
        self.assertIsNone(options.parse([]).patterns)

    def test_contention_takes_a_selection(self):
        chosen = options.parse(["--contention"])
        self.assertEqual((chosen.threads, chosen.kinds), ([1, 2, 4, 8, 16], ["throughput"]))
        self.assertIn("cross_thread_free", chosen.patterns)
        chosen = options.parse(["--contention", "--threads", "2", "--patterns", "pair", "--kinds", "throughput,memory"])
        self.assertEqual((chosen.threads, chosen.patterns, chosen.kinds), ([2], ["pair"], ["throughput", "memory"]))
        self.assert_refused(["--contention", "--quick"], "--quick")
        self.assert_refused(["--contention", "--kinds", "memory"], "--kinds")


class Contenders(unittest.TestCase):
    def test_a_missing_library_is_left_out_with_a_line(self):
        found, missing = contenders.all_contenders([("mine", "/no/such/library.so")], folders=("/no/such/folder",))
        self.assertEqual([c.name for c in found if c.general], ["glibc"])
        self.assertEqual(len(missing), 4)
        self.assertIn("/no/such/library.so", missing[-1])

    def test_a_given_library_is_a_general_purpose_peer(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as library:
            found, _ = contenders.all_contenders([("mine", library.name)], folders=())
            self.assertEqual([c.name for c in found if c.general], ["glibc", "mine"])
            with self.assertRaises(ValueError):
                contenders.all_contenders([("glibc", library.name)], folders=())

    def test_peers_that_check_frees_stand_apart_and_only_when_asked_for(self):
        self.assertFalse(options.parse([]).protected)
        with tempfile.TemporaryDirectory() as folder:
            old, new = (pathlib.Path(folder, f"llvm-{n}.so") for n in (9, 19))
            old.touch()
            new.touch()
            self.assertTrue(options.parse(["--protected-peer", f"safe={old}"]).protected)
            scudo = f"{folder}/llvm-*.so"
            found, _ = contenders.all_contenders([], (), [("safe", str(old))], scudo)
            self.assertEqual([(c.name, c.preload) for c in found if c.checks], [("scudo", str(new)), ("safe", str(old))])
            self.assertEqual([c.name for c in found if c.general], ["glibc"])
            self.assertFalse(any(c.checks for c in contenders.all_contenders([], ())[0]))
            _, missing = contenders.all_contenders([], (), [], f"{folder}/none-*.so")
            self.assertIn("libclang-rt-19-dev", missing[-1])
            with self.assertRaises(ValueError):
                contenders.all_contenders([], (), [("scudo", str(old))], scudo)

    def test_the_version_of_a_built_library_is_that_of_its_sources(self):
        with tempfile.TemporaryDirectory() as folder:
            sources, build = pathlib.Path(folder, "sources"), pathlib.Path(folder, "build")
            sources.mkdir()
            build.mkdir()
            library = build / "libmine.so"
            library.touch()
            self.assertEqual(machine.library(library), "libmine.so")
            git = ["git", "-C", sources, "-c", "user.name=x", "-c", "user.email=x@example.org"]
            subprocess.run([*git, "init", "-q"], check=True)
            subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
            subprocess.run([*git, "tag", "v1.2.3"], check=True)
            (build / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={sources}\n")
            self.assertEqual(machine.library(library), "libmine.so v1.2.3")

    def test_pointless_contenders_are_left_out(self):
        everyone = {c.name: c for c in contenders.all_contenders([], folders=())[0]}
        self.assertIsNone(contenders.why_not(everyone["tslab"], CROSSING))
        self.assertIsNone(contenders.why_not(everyone["monotonic-heap"], PHASES))
        self.assertIn("given back", contenders.why_not(everyone["monotonic-stack"], PLAIN))
        self.assertIn("other", contenders.why_not(everyone["unsynchronized"], CROSSING))
        self.assertIsNone(contenders.why_not(everyone["synchronized"], CROSSING))
        self.assertIn("no scopes", contenders.why_not(everyone["glibc"], PHASES | {"name": "scope_empty"}))
        self.assertIsNone(contenders.why_not(everyone["monotonic-heap"], PHASES | {"name": "scope_empty"}))


class FakeRunner(runner.Runner):
    """Answers at once; the peer `broken` fails."""

    def __init__(self, *arguments):
        super().__init__("none", options.parse(list(arguments)))
        self.order = []

    def measure(self, contender, pattern, threads, kind):
        self.order.append((pattern["name"], threads, contender.name, kind))
        if contender.name == "broken":
            raise runner.Failed("it crashed")
        return {"ns_per_op": 1.0}


class Turns(unittest.TestCase):
    def setUp(self):
        self.everyone = [contenders.Contender(name, name, general=name != "tslab") for name in ("tslab", "a", "b")]

    def test_no_contender_always_goes_first(self):
        run = FakeRunner("--kinds", "throughput", "--rounds", "3", "--threads", "1")
        run.run([PLAIN], self.everyone)
        self.assertEqual([order[2] for order in run.order[::3]], ["tslab", "a", "b"])
        self.assertEqual(len(run.order), 9)

    def test_a_peer_that_fails_is_left_out_with_all_its_figures(self):
        run = FakeRunner("--kinds", "throughput", "--rounds", "2", "--threads", "1")
        found = run.run([PLAIN], [*self.everyone, contenders.Contender("broken", "malloc", general=True)])
        self.assertNotIn(("pair", 1, "broken"), found)
        self.assertEqual(run.notes, ["broken is left out: it crashed"])
        self.assertEqual(len(found["pair", 1, "a"]["throughput"]), 2)

    def test_memory_is_measured_where_it_says_something_and_less_often(self):
        run = FakeRunner("--rounds", "5", "--threads", "1")
        run.run([PLAIN, PHASES], self.everyone[:1])
        self.assertEqual(sum(order[3] == "memory" for order in run.order), 2)
        self.assertTrue(all(order[0] == "request" for order in run.order if order[3] == "memory"))

    def test_quick_measures_throughput_first(self):
        run = FakeRunner("--quick", "--threads", "1")
        run.run([PHASES], self.everyone[:1])
        self.assertEqual([order[3] for order in run.order], ["throughput"] * 3 + ["latency", "memory"])

    def test_thread_counts_a_pattern_cannot_have_are_passed_over(self):
        run = FakeRunner("--threads", "1,2,16")
        self.assertEqual([threads for _, threads in run.cases([PLAIN | {"least_threads": 2}])], [2, 16])
        self.assertEqual([threads for _, threads in run.cases([PLAIN | {"pairs": 1}])], [2, 16])
        with self.assertRaises(runner.Failed):
            FakeRunner("--threads", "1").run([PLAIN | {"least_threads": 2}], self.everyone)


class Tables(unittest.TestCase):
    def test_a_contender_without_a_figure_is_a_dash(self):
        rows = [{"pattern": "pair", "threads": 1, "contender": name, **dict.fromkeys(figures.FIELDS),
                 "ns_per_op_median": 2.0, "ns_per_op_min": 1.0, "ns_per_op_max": 3.0} for name in ("tslab", "glibc")]
        parts = table.parts(figures.Table(rows, ["glibc"]), ["tslab", "glibc", "monotonic-heap"])
        self.assertEqual(len(parts), 1)
        _, header, lines = parts[0]
        self.assertEqual(lines, [["pair", "1", "2.0", "2.0", "-", "±50%", "glibc", "1.00"]])
        self.assertIn("| pair | 1 |", table.as_markdown(header, lines))
        self.assertEqual(len(table.as_text(header, lines).splitlines()), 2)


    def test_those_that_check_frees_have_a_table_of_their_own(self):
        rows = [{"pattern": pattern, "threads": 1, "contender": name, **dict.fromkeys(figures.FIELDS), "ns_per_op_median": value,
                 "ns_per_op_min": value, "ns_per_op_max": value}
                for pattern, name, value in (("pair", "tslab", 2.0), ("pair", "glibc", 4.0), ("pair", "scudo", 8.0), ("json", "tslab", 1.0))]
        safe, plain = table.parts(figures.Table(rows, ["glibc"], ["scudo"]), ["tslab", "glibc", "scudo"])
        self.assertEqual(safe[1:], (["pattern", "threads", "tslab", "scudo", "spread", "best of them", "ratio"],
                                    [["pair", "1", "2.0", "8.0", "±0%", "scudo", "0.25"]]))
        self.assertEqual([line[-1] for line in plain[2]], ["0.50", "-"])
        self.assertNotIn("scudo", plain[1])


def measured(threads, contender, **own):
    """A run's row: 2 ns an operation for each thread, and tslab's own counts."""
    run = {"ns_per_op": 2.0 * threads, "operations": 1000, **own}
    return ("hotspot", threads, contender), {"throughput": [run]}


OWN = {"cas_attempts": 500, "cas_retries": 20, "free_retries": 5, "lost_races": 0, "locks_free": 30, "locks_contended": 10}


class Contention(unittest.TestCase):
    def setUp(self):
        rows = figures.make_rows(dict([measured(2, "tslab", **OWN), measured(2, "glibc"), measured(1, "tslab", **OWN), measured(1, "glibc")]))
        self.table = figures.Table(rows, ["glibc"])

    def test_counts_stand_beside_times_by_threads(self):
        _, header, lines = table.parts(self.table, ["tslab", "glibc"], True)[-1]
        self.assertEqual(dict(zip(header, lines[1])), {
            "pattern": "hotspot", "threads": "2", "tslab ns": "4.0", "best peer": "glibc", "its ns": "4.0", "ratio": "1.00",
            "locks": "0.0400", "contended": "25.0%", "claims": "0.5000", "retries": "0.0200", "reclaim retries": "0.0050",
            "lost races": "0"})
        self.assertEqual([line[1] for line in lines], ["1", "2"])
        self.assertEqual(len(table.parts(self.table, ["tslab", "glibc"])), 1)

    def test_a_count_that_is_not_known_is_a_dash_and_a_small_one_is_not_nothing(self):
        self.assertEqual([table.per_operation(v) for v in (None, 0, 0.00002)], ["-", "0", "2e-05"])

    def test_curves_are_drawn(self):
        try:
            from driver import plots
        except ImportError as error:
            self.skipTest(f"no matplotlib: {error}")
        with tempfile.TemporaryDirectory() as folder:
            plots.draw_contention(self.table, ["tslab", "glibc"], folder)
            self.assertEqual(sorted(path.name for path in pathlib.Path(folder).iterdir()),
                             ["contention-locks.png", "contention-time.png"])


if __name__ == "__main__":
    unittest.main()
