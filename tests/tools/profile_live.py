# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# A leak in a shared library of a live process, found from outside: of one that hangs, one that is stopped, one in a container, and one that
# is dead.
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

programs = argparse.Namespace()
SAMPLED = {"TSLAB_PROFILE_INTERVAL": "16384", "TSLAB_PROFILE_SEED": "7"}


def tslab(*words):
    return subprocess.run([programs.tslab, *words], capture_output=True, text=True, timeout=120)


def profile(*words):
    return tslab("profile", *words)


@contextlib.contextmanager
def leaking(env=SAMPLED, before=()):
    process = subprocess.Popen([*before, programs.leak], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **env})
    try:
        ready = process.stdout.readline().split()
        if before and not ready:
            raise unittest.SkipTest(f"{before[0]} is refused here")
        assert ready[0] == b"ready"
        yield process.pid, int(ready[1])
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


class Live(unittest.TestCase):
    def check(self, answer, line):
        self.assertEqual(answer.returncode, 0, answer.stderr)
        row = next((r for r in answer.stdout.splitlines() if "shop::sessions::open_session" in r), "")
        self.assertIn(f"support/session_library.cpp:{line}", row, answer.stdout)
        live = float(re.search(r"([\d.]+) MiB", row).group(1))
        self.assertTrue(2.5 < live < 6, row)   # 1,000 times 4,000 bytes in slots of 4,096 bytes: 3.9 MiB, of some 240 samples
        self.assertNotIn("tslab::", answer.stdout.split("function", 1)[1])

    def test_a_leak_is_named_by_function_line_and_label(self):
        with leaking() as (pid, line):
            self.check(profile(str(pid)), line)
            labels = profile(str(pid), "--by", "label").stdout
            self.assertRegex(labels, r"MiB +9\d\.\d %.*login|MiB +100\.0 %.*login")
            self.assertNotIn("page", labels)   # given back
            self.assertIn("build_page", profile(str(pid), "--of", "allocated_bytes").stdout)
            folded = profile(str(pid), "--collapsed").stdout
            self.assertIn(";main;(anonymous namespace)::log_in;shop::sessions::open_session;", folded)

    def check_leak(self, answer, line):
        self.assertEqual(answer.returncode, 1, answer.stderr)
        about = answer.stdout.split("  login\n", 1)[1]
        self.assertRegex(about, r"entered +\S*support/hold_leak\.cpp:\d+ in")
        live = float(re.search(r"sampled +([\d.]+) MiB live of this label, by \d+ samples", about).group(1))
        self.assertTrue(2.5 < live < 6, about)
        # From who allocates to main, one call below the other.
        self.assertRegex(about, r"session_cache::remember  support/session_library\.cpp:\d+\n"
                                rf" +shop::sessions::open_session  support/session_library\.cpp:{line}\n"
                                r" +\(anonymous namespace\)::log_in  support/hold_leak\.cpp:\d+\n"
                                r" +main  support/hold_leak\.cpp:\d+\n")
        self.assertNotIn("build_page", about)   # given back

    def test_a_scope_that_is_never_left_is_shown_with_who_allocated_what_it_holds(self):
        with leaking() as (pid, line):
            self.check_leak(tslab("leaks", str(pid), "--older-than", "0s"), line)
            record = json.loads(tslab("leaks", str(pid), "--older-than", "0s", "--json").stdout)
            self.assertEqual(record["label"], "login")
            stack = record["label_stacks"][0]
            self.assertGreater(stack["live_samples"], 100)
            self.assertEqual([frame["function"] for frame in stack["frames"]][1:],
                             ["shop::sessions::open_session", "(anonymous namespace)::log_in", "main"])
            self.assertEqual(stack["frames"][1]["line"], line)
            self.check(profile(str(pid), "--label", "login"), line)
            nobody = profile(str(pid), "--label", "logout")
            self.assertEqual(nobody.returncode, 3)
            self.assertIn('no sample of label "logout", but of "login"', nobody.stderr)

    def test_a_leak_without_samples_is_shown_without_stacks(self):
        with leaking({"TSLAB_PROFILE_INTERVAL": "0"}) as (pid, _):
            answer = tslab("leaks", str(pid), "--older-than", "0s")
            self.assertEqual(answer.returncode, 1, answer.stderr)
            self.assertIn("login", answer.stdout)
            self.assertNotIn("sampled", answer.stdout)
            self.assertNotIn("label_stacks", tslab("leaks", str(pid), "--older-than", "0s", "--json").stdout)

    def test_a_process_that_is_stopped(self):
        with leaking() as (pid, line):
            os.kill(pid, signal.SIGSTOP)
            try:
                self.check(profile(str(pid)), line)
                self.check_leak(tslab("leaks", str(pid), "--older-than", "0s"), line)
            finally:
                os.kill(pid, signal.SIGCONT)

    def test_a_process_that_is_dead(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "statistics")
            with leaking({**SAMPLED, "TSLAB_STATS_FILE": path}) as (pid, line):
                os.kill(pid, signal.SIGKILL)
            time.sleep(1.5)
            self.check(profile(path), line)
            saved = json.loads(profile(path, "--json").stdout)
            snapshot = json.loads(tslab("stats", path, "--json").stdout)
            self.assertEqual(saved["time_ns"], snapshot["timestamp_ns"])   # not the time of this look
            self.assertLess(saved["begin_ns"], saved["time_ns"])
            self.assertGreater(time.time_ns() - saved["time_ns"], 1_400_000_000)
            self.check_leak(tslab("leaks", path, "--older-than", "0s"), line)

    @unittest.skipIf(os.geteuid() != 0 or shutil.which("unshare") is None, "only root can make a namespace")
    def test_a_process_in_a_container(self):
        with leaking(before=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")) as (outer, line):
            with open(f"/proc/{outer}/task/{outer}/children", encoding="ascii") as file:
                self.check(profile(file.read().split()[0]), line)

    def test_what_changes(self):
        with leaking() as (pid, _):
            answer = profile(str(pid), "--since", "100ms")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn("0 bytes in 0 objects", answer.stdout)
            with tempfile.TemporaryDirectory() as folder:
                before = os.path.join(folder, "before.json")
                with open(before, "w", encoding="utf-8") as file:
                    file.write(profile(str(pid), "--json").stdout)
                self.assertEqual(profile(str(pid), "--since", before).returncode, 0)
                with leaking() as (other, _):
                    wrong = profile(str(other), "--since", before)
                    self.assertEqual(wrong.returncode, 2)
                    self.assertIn("earlier profile", wrong.stderr)

    def test_a_process_that_takes_no_samples(self):
        with leaking({"TSLAB_PROFILE_INTERVAL": "0"}) as (pid, _):
            answer = profile(str(pid))
            self.assertEqual(answer.returncode, 3)
            self.assertIn("sampling is off", answer.stderr)

    def test_the_server_answers_pprof(self):
        with leaking() as (pid, _):
            serve = subprocess.Popen([programs.tslab, "serve", str(pid), "--port", "0"], stdout=subprocess.PIPE, text=True)
            try:
                address = serve.stdout.readline().split()[-1]
                with urllib.request.urlopen(address + "debug/pprof/heap?debug=1", timeout=60) as answer:
                    self.assertIn("shop::sessions::open_session", answer.read().decode())
                with urllib.request.urlopen(address + "flame.json", timeout=60) as answer:
                    self.assertIn("shop::sessions::open_session", json.load(answer)["functions"])
            finally:
                serve.terminate()
                serve.wait(timeout=30)
                serve.stdout.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("tslab", "leak"):
        parser.add_argument("--" + name, required=True)
    _, rest = parser.parse_known_args(namespace=programs)
    unittest.main(argv=[__file__, *rest])
