# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of script/memory, what it makes of the programs' figures, and of programs that fail."""
import contextlib
import io
import os
import pathlib
import stat
import sys
import tempfile
import unittest

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here.parent), str(here.parent.parent / "bench")]

from driver import contenders, runner  # noqa: E402
from measure import main, options, patterns, probes  # noqa: E402

SILENT = lambda _: None  # noqa: E731


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
        self.assert_refused(["--only", "nonsense"], "no such area: nonsense")
        self.assert_refused(["--peer", "nothing"], "NAME=PATH")
        self.assert_refused(["--json", "/no/such/folder/x.json"], "cannot write")
        self.assert_refused(["--plots", "/proc/nothing"], "cannot make")

    def test_a_missing_build_says_how_to_make_it(self):
        self.assert_refused(["--quick"], "is not built")

    def test_areas_come_in_the_order_of_the_table(self):
        self.assertEqual(options.parse([]).areas, list(options.AREAS))
        self.assertEqual(options.parse(["--only", "waste,speed", "--only", "peak"]).areas, ["speed", "peak", "waste"])


class Interrupted(unittest.TestCase):
    def test_what_was_measured_until_then_is_kept(self):
        class Interrupting:
            def run(self, measure, **_):
                if measure == "descriptors":
                    raise KeyboardInterrupt
                return {"few_ns": 1.0, "many_ns": 1.5, "few_scopes_ns": 1.0, "many_scopes_ns": 1.0}
        chosen, notes = options.parse(["--only", "many-heaps,small-heaps"]), []
        found = main.measure(chosen, main.TINY, None, Interrupting(), notes)
        self.assertEqual([row.found for row in found], [1.5, 1.0])
        self.assertTrue(chosen.interrupted)
        self.assertIn("many-heaps", notes[0])


class Page(unittest.TestCase):
    def test_only_the_section_measured_of_a_page_is_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "memory.md")
            main.markdown(path, "first\n")
            self.assertEqual(pathlib.Path(path).read_text(), "first\n")
            pathlib.Path(path).write_text("# Memory\n\n## Measured\n\nold\n\n## After\n\nkept\n")
            main.markdown(path, "new\n")
            self.assertEqual(pathlib.Path(path).read_text(), "# Memory\n\n## Measured\n\nnew\n\n## After\n\nkept\n")
            main.markdown(path, "newer\n")
            self.assertEqual(pathlib.Path(path).read_text(), "# Memory\n\n## Measured\n\nnewer\n\n## After\n\nkept\n")


class Programs(unittest.TestCase):
    def probe(self, script, limit=20):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "program")
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return probes.Probe(str(path), SILENT, limit)

    def rows(self, probe):
        return probes.rows_of("area", "what", lambda: probe.run("x"),
                              lambda found: [probes.Row("area", "what", found["value"], 2.0)], bar=2.0)

    def test_figures_become_rows(self):
        row, = self.rows(self.probe("echo '{\"value\":1.5}'\n"))
        self.assertEqual((row.found, row.verdict), (1.5, "met"))

    def test_options_are_passed(self):
        found = self.probe('[ "$*" = "x --mib 5 --raw" ] && echo "{}"\n').run("x", mib=5, raw=True, background=False)
        self.assertEqual(found, {})

    def test_what_cannot_be_measured_is_said(self):
        row, = self.rows(self.probe("echo 'mlockall is not permitted' >&2; exit 3\n"))
        self.assertEqual((row.verdict, row.note, row.bar), ("not measured", "mlockall is not permitted", 2.0))

    def test_failures_are_rows(self):
        for script, why in (("echo oops >&2; exit 1\n", "oops"), ("kill -SEGV $$\n", "signal 11"), ("echo hello\n", "no figures")):
            row, = self.rows(self.probe(script))
            self.assertEqual(row.verdict, "FAILED")
            self.assertIn(why, row.note)
        row, = self.rows(self.probe("exec sleep 10\n", limit=0.1))
        self.assertIn("longer than", row.note)
        row, = self.rows(probes.Probe("/no/such/program", SILENT))
        self.assertEqual(row.verdict, "FAILED")

    def test_survivors_are_held_against_twice_what_lives_and_2_mib(self):
        probe = self.probe(f"echo '{{\"live\":{2**20},\"closed\":{4 * 2**20},\"trimmed\":{5 * 2**20}}}'\n")
        closed, trimmed = list(probes.survivors(probe, main.TINY))[:2]
        self.assertEqual((closed.bar, closed.verdict, trimmed.verdict), (4.0, "met", "NOT MET"))

    def test_a_machine_without_control_groups_is_said(self):
        with tempfile.NamedTemporaryFile("w") as mounts:
            mounts.write("tmpfs /tmp tmpfs rw 0 0\n")
            mounts.flush()
            with self.assertRaisesRegex(probes.Unavailable, "version 2"):
                probes.group_folder(mounts.name)

    def test_a_control_group_is_made_limited_and_joined(self):
        with tempfile.TemporaryDirectory() as folder:
            probe = self.probe(f"cd {folder}/tslab-memory-* && [ \"$*\" = 'near-limit --mib 4' ] && echo 'low 0\nhigh 7' > memory.events\n"
                               "[ $(cat cgroup.procs) = $$ ] && echo '{\"limit\":'$(cat memory.high)'}'\n")
            self.assertEqual(probes.run_in_group(probe, folder, 6, mib=4), {"limit": 6 * 2**20, "high": 7})


class FakeRun:
    """Stands for the bench runner: `times` by contender; who is not in it fails."""

    def __init__(self, times):
        self.times = times
        self.out = set()
        self.notes = []
        self.asked = []

    def patterns(self):
        return [{"name": name} for name in (*patterns.PEAKS, *patterns.HUGE)]

    def measure_more(self, contender, pattern, threads, kind, program, more):
        self.asked.append((contender.name, pattern["name"], threads, kind, more))
        if contender.name not in self.times:
            raise runner.Failed("it crashed")
        time = self.times[contender.name]
        return {"ns_per_op": time * threads, "madvise_calls": 1, "epoch_closes": 200, "allocations": 1000, "locks_free": 1,
                "locks_contended": 2, "cas_retries": 0, "operations": 1, "peak": time * 100, "huge": 0,
                "cpu_ns": time / 2}


def fake(times, given=("mine",)):
    everyone = [contenders.Contender(name, name, general=name != "tslab") for name in ("tslab", "glibc", "mine")]
    return patterns.Patterns(FakeRun(times), everyone, set(given), SILENT)


class OfPatterns(unittest.TestCase):
    def speed(self, times):
        return {row.what: row for row in patterns.speed(fake(times), main.TINY)}

    def test_packaged_and_given_allocators_have_bars_of_their_own(self):
        found = self.speed({"tslab": 10, "glibc": 10, "mine": 9.5})
        self.assertTrue(found["time of server, 1 thread, against the best of the packaged allocators"].met)
        given = found["time of server, 1 thread, against the best given by --peer"]
        self.assertEqual((given.bar, given.met), (1.1, True))
        self.assertIn("without waiting 1.05 of mine", given.note)
        self.assertFalse(self.speed({"tslab": 10, "glibc": 9, "mine": 9})[
            "time of server, 2 threads, against the best of the packaged allocators"].met)

    def test_more_threads_are_held_against_one(self):
        row = self.speed({"tslab": 10, "glibc": 10, "mine": 10})["time of kernel, 2 threads, against 1 thread"]
        self.assertEqual((row.found, row.bar, row.met), (2.0, 1.25, False))

    def test_a_peer_that_fails_is_left_out_and_tslab_failing_is_a_row(self):
        run = fake({"tslab": 10, "glibc": 10})
        found = [row for row in patterns.speed(run, main.TINY) if "given" in row.what]
        self.assertTrue(all(row.verdict == "not measured" for row in found))
        self.assertEqual(run.run.notes, ["mine is left out: it crashed"])
        self.assertTrue(all(row.verdict == "FAILED" for row in self.speed({"glibc": 10}).values()))

    def test_counts_are_divided(self):
        made = fake({"tslab": 10, "glibc": 10, "mine": 10})
        self.assertEqual({row.found for row in patterns.purging(made, main.TINY)}, {0.005})
        self.assertEqual({row.found for row in patterns.locks(made, main.TINY)}, {0.003})

    def test_huge_pages_are_compared_where_they_are_granted(self):
        made = fake({"tslab": 10, "glibc": 10, "mine": 10})
        self.addCleanup(setattr, patterns, "granted", patterns.granted)
        patterns.granted = lambda: (True, "madvise")
        found = list(patterns.huge_pages(made, main.TINY))
        self.assertEqual([row.found for row in found], [1.0] * 6)
        self.assertEqual({asked[1] for asked in made.run.asked}, set(patterns.HUGE))
        patterns.granted = lambda: (False, "never")
        self.assertEqual([row.note for row in patterns.huge_pages(made, main.TINY)], ["never"] * 3)

    def test_a_program_that_does_not_count_is_not_measured(self):
        self.assertIsNone(patterns.per({"madvise_calls": 0}, "madvise_calls", "epoch_closes"))

    def test_no_contender_always_goes_first(self):
        made = fake({"tslab": 10, "glibc": 10, "mine": 10})
        made.measure([("server", 1)], "throughput", 3)
        self.assertEqual([asked[0] for asked in made.run.asked[::3]], ["tslab", "glibc", "mine"])


class Quick(unittest.TestCase):
    def test_no_pattern_is_left_out(self):
        class Listing(main.BenchRunner):
            def call(self, arguments, preload=""):
                return '[{"name": "kernel"}, {"name": "fifo_1m_touched"}]'
        whole = main.BenchRunner
        main.BenchRunner = Listing
        self.addCleanup(setattr, main, "BenchRunner", whole)
        made = main.make_patterns(options.parse(["--quick"]), main.QUICK, [], SILENT)
        self.assertEqual(list(made.known), ["kernel", "fifo_1m_touched"])


class OverTime(unittest.TestCase):
    """What is seen from outside of a program that says when its parts begin."""

    def record(self, script):
        try:
            from measure import timelines
        except ImportError:
            self.skipTest("matplotlib is not installed")
        with tempfile.TemporaryDirectory() as build:
            path = pathlib.Path(build, "perf/memory/memory_timeline")
            path.parent.mkdir(parents=True)
            path.write_text("#!/usr/bin/python3\nimport sys, time\n" + script)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            return timelines.one(build, contenders.Contender("glibc", "malloc"), "burst", main.TINY)

    def test_samples_lie_between_the_first_part_and_the_end(self):
        made = self.record("print('load', time.monotonic(), flush=True)\nkept = bytearray(64 << 20)\ntime.sleep(0.3)\n"
                           "print('end', time.monotonic(), flush=True)\ntime.sleep(0.2)\n")
        self.assertEqual([name for _, name in made.parts], ["load", "end"])
        self.assertGreater(len(made.samples), 1)
        self.assertTrue(all(0 <= at <= made.parts[-1][0] for at, _ in made.samples))
        self.assertGreater(max(value for _, value in made.samples), 64 << 20)

    def test_a_picture_of_each_scenario_is_small(self):
        try:
            from measure import timelines
        except ImportError:
            self.skipTest("matplotlib is not installed")
        waves = [[i / 20, (100 + 50 * (i % 7)) << 20] for i in range(400)]
        lines = [timelines.Timeline(scenario, name, waves, [[0.0, "load"], [10.0, "idle"], [20.0, "end"]])
                 for scenario in timelines.SCENARIOS for name in ("tslab", "glibc", "jemalloc", "tcmalloc", "mimalloc")]
        with tempfile.TemporaryDirectory() as folder:
            timelines.draw(lines, folder)
            made = {path.name: path.stat().st_size for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(set(made), {f"memory-{scenario}.png" for scenario in timelines.SCENARIOS})
        self.assertTrue(all(0 < size < 60_000 for size in made.values()), made)

    def test_a_program_that_fails_is_a_note(self):
        made = self.record("sys.exit('no such contender')\n")
        self.assertEqual((made.samples, made.note), ([], "no such contender"))


if __name__ == "__main__":
    unittest.main()
