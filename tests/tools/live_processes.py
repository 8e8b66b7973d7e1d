# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The programs and live processes: how one is named, what state it may be in, terminals and signals. They need a kernel that lets
# this user look into other processes.
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import unittest
import xml.dom.minidom

from run_programs import live_heap, main, programs, read_all, run


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with live_heap() as pid:
            answer = run("stats", str(pid), "--json")
            if answer.returncode != 0:
                raise unittest.SkipTest(answer.stderr.decode())

    def test_by_pid(self):
        with live_heap("by pid") as pid:
            snapshot = json.loads(run("stats", str(pid), "--json").stdout)
            self.assertEqual((snapshot["name"], snapshot["pid"]), ("by pid", pid))
            self.assertIn(b"\\x1b[2Jforgotten", run("epochs", str(pid)).stdout)
            leaks = run("leaks", str(pid), "--older-than", "0s")
            self.assertEqual(leaks.returncode, 1)
            self.assertIn(b"hold_heap.cpp:", leaks.stdout)

    def test_by_name(self):
        name = os.path.basename(programs.heap)
        with live_heap("one") as first:
            self.assertEqual(json.loads(run("stats", name, "--json").stdout)["pid"], first)
            self.assertIn(str(first), run("ps").stdout.decode())
            self.assertIn(first, [json.loads(line)["pid"] for line in run("ps", "--json").stdout.splitlines()])
            with live_heap("two") as second:
                several = run("stats", name)
                self.assertEqual(several.returncode, 2)
                self.assertIn(str(first), several.stderr.decode())
                self.assertIn(str(second), several.stderr.decode())

    def test_a_process_that_has_ended(self):
        with live_heap() as pid:
            pass
        self.assertEqual(run("stats", str(pid)).returncode, 3)

    def test_a_process_that_is_stopped(self):
        with live_heap("stopped") as pid:
            os.kill(pid, signal.SIGSTOP)
            try:
                snapshot = json.loads(run("stats", str(pid), "--json").stdout)
                self.assertTrue(snapshot["live_known"])
                self.assertEqual(run("leaks", str(pid), "--older-than", "0s").returncode, 1)
            finally:
                os.kill(pid, signal.SIGCONT)

    def test_a_process_without_a_heap(self):
        process = subprocess.Popen(["sleep", "60"])
        try:
            answer = run("stats", str(process.pid))
            self.assertEqual(answer.returncode, 3)
            self.assertEqual(answer.stderr.decode(),
                             f"tslab: process {process.pid} has no heap of tslab that it publishes\n")
        finally:
            process.kill()
            process.wait()

    @unittest.skipIf(os.geteuid() != 0, "only root can become another user")
    def test_the_process_of_another_user(self):
        with live_heap() as pid, tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            copy = shutil.copy(programs.tslab, folder)   # where the other user may run it
            os.chmod(copy, 0o755)
            answer = run("stats", str(pid), program=copy, user=65534, group=65534, extra_groups=[])
            self.assertEqual(answer.returncode, 3, answer.stderr)
            self.assertIn(b"may not be looked into", answer.stderr)
            self.assertEqual(answer.stderr.count(b"\n"), 1)
            self.assertNotIn(str(pid).encode(), run("ps", program=copy, user=65534, group=65534, extra_groups=[]).stdout)

    @unittest.skipIf(os.geteuid() != 0 or shutil.which("unshare") is None, "only root can make a namespace")
    def test_a_process_in_a_container(self):
        """It calls itself by another number than we do."""
        process = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", programs.heap, "inside"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if process.stdout.readline() != b"ready\n":
                self.skipTest(process.stderr.read().decode())
            with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
                pid = file.read().split()[0]
            snapshot = json.loads(run("stats", pid, "--json").stdout)
            self.assertEqual(snapshot["name"], "inside")
            self.assertTrue(snapshot["live_known"])
        finally:
            process.kill()
            process.communicate()

    def test_several_heaps(self):
        with live_heap("one", "two") as pid:
            names = [json.loads(line)["name"] for line in run("stats", str(pid), "--json").stdout.splitlines()]
            self.assertEqual(names, ["one", "two"])
            picked = run("stats", str(pid), "--heap", "two", "--json")
            self.assertEqual(json.loads(picked.stdout)["name"], "two")
            self.assertEqual(run("stats", str(pid), "--heap", "three").returncode, 3)

    def test_statistics_of_another_version(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "statistics")
            with live_heap("newer", env={"TSLAB_STATS_FILE": path}) as pid:
                with open(path, "r+b") as file:
                    file.seek(8)   # segment_header::format
                    newer = file.read(1)[0] + 1
                    file.seek(8)
                    file.write(bytes([newer]))
                for target in (str(pid), path):
                    answer = run("stats", target)
                    self.assertEqual(answer.returncode, 4, answer.stderr)
                    self.assertIn(b"another version", answer.stderr)
                    self.assertEqual(answer.stderr.count(b"\n"), 1)
                # Among others it is named, and hides none of them.
                with live_heap("of this version") as good:
                    listed = {one["pid"]: one for one in map(json.loads, run("ps", "--json").stdout.splitlines())}
                    self.assertIn("another version", listed[pid]["error"])
                    self.assertEqual(listed[good]["heaps"], 1)
                    everyone = run("export", "prometheus", "--all")
                    self.assertEqual(everyone.returncode, 0, everyone.stderr)
                    self.assertRegex(everyone.stderr, f"tslab: process {pid} is left out: .* another version".encode())
                    self.assertIn(b'heap="of this version"', everyone.stdout)

    def test_the_file_of_a_process_that_was_killed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "statistics")
            process = subprocess.Popen([programs.heap, "killed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env={**os.environ, "TSLAB_STATS_FILE": path})
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.kill()
            process.wait(timeout=30)
            process.stdin.close()
            process.stdout.close()
            self.assertEqual(json.loads(run("stats", path, "--json").stdout)["name"], "killed")
            self.assertEqual(run("leaks", path, "--older-than", "0s").returncode, 1)
            self.assertEqual(len(run("watch", path, "0.1", "3", "--json").stdout.splitlines()), 1)
            for command in ("watch", "top", "epochs"):
                self.assertIn(b" ?", run(command, path).stdout)   # live memory is not known
            for words in ((), ("--json",), ("--svg", os.path.join(folder, "map.svg"))):
                map_of = run("map", path, *words)
                self.assertEqual((map_of.returncode, map_of.stdout), (3, b""))
                self.assertIn(b"has no map that can be read", map_of.stderr)
            with open(path, "rb") as file:
                begin = file.read(3000)
            with open(path, "wb") as file:
                file.write(begin)
            self.assertEqual(run("stats", path).returncode, 3)

    def test_watch_has_rates(self):
        with live_heap() as pid:
            steps = [json.loads(line) for line in run("watch", str(pid), "0.2", "3", "--json").stdout.splitlines()]
            self.assertEqual(len(steps), 3)
            for step in steps:
                self.assertGreater(step["interval_sec"], 0.15)
                self.assertAlmostEqual(step["allocations_per_sec"] * step["interval_sec"], step["allocations_delta"], delta=1)
            if not any(step["allocations_delta"] for step in steps):   # the machine did not let the process work
                steps = [json.loads(line) for line in run("watch", str(pid), "20", "2", "--json").stdout.splitlines()]
            self.assertTrue(any(step["allocations_delta"] > 0 for step in steps))
            lines = run("watch", str(pid), "--interval", "50ms", "--count", "2").stdout.splitlines()
            self.assertEqual(len(lines), 3)

    def test_top_has_rates(self):
        with live_heap() as pid:
            words = ["top", str(pid), "--classes", "--by", "allocations", "--window", "200ms", "--json"]
            lines = next(filter(None, (run(*words).stdout.splitlines() for _ in range(100))))   # as above
            first = json.loads(lines[0])
            self.assertTrue(first["per_second"])
            self.assertGreater(first["value"], 0)
            self.assertLess(first["value"], first["allocations"] * 10)

    def test_maps(self):
        with live_heap() as pid, tempfile.TemporaryDirectory() as folder:
            svg, png = os.path.join(folder, "heap.svg"), os.path.join(folder, "heap.png")
            for by in ("label", "fill", "class", "use"):
                self.assertEqual(run("map", str(pid), "--by", by, "--svg", svg, "--png", png).returncode, 0)
                self.assertEqual(xml.dom.minidom.parse(svg).documentElement.tagName, "svg")
                with open(png, "rb") as file:
                    self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
                self.assertNotIn(b"\x1b", run("map", str(pid), "--by", by).stdout)
                self.assertIn(b"\x1b[38;5;", run("map", str(pid), "--by", by, "--color=always").stdout)
            self.assertTrue(json.loads(run("map", str(pid), "--json").stdout)["runs"])
            self.assertEqual(run("map", str(pid), "--svg", "/nowhere/heap.svg").returncode, 2)

    def test_a_terminal_is_left_as_it_was_found(self):
        for signal_sent in (signal.SIGINT, signal.SIGTERM):
            for words in (["watch", "--interval", "0.1"], ["top", "--window", "100ms"], ["top", "--epochs"]):
                with self.subTest(words=words, signal=signal_sent), live_heap() as pid:
                    main, terminal = pty.openpty()
                    process = subprocess.Popen([programs.tslab, words[0], str(pid), *words[1:]], stdout=terminal,
                                               stderr=terminal)
                    os.close(terminal)
                    text = read_all(main, until=b"\x1b[J")
                    process.send_signal(signal_sent)
                    process.send_signal(signal_sent)   # impatience does no harm
                    text += read_all(main)
                    os.close(main)
                    self.assertEqual(process.wait(timeout=30), 0, text)
                    for on, off in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?7l", b"\x1b[?7h")):
                        self.assertEqual((text.count(on), text.count(off)), (1, 1), text)
                        self.assertLess(text.index(on), text.index(off))
                    self.assertIn(b"\x1b[0m", text[text.rindex(b"\x1b[J"):])

    def test_ctrl_c_without_a_terminal(self):
        with live_heap() as pid:
            process = subprocess.Popen([programs.tslab, "watch", str(pid), "0.05"], stdout=subprocess.PIPE)
            for _ in range(3):
                process.stdout.readline()
            process.send_signal(signal.SIGINT)
            self.assertNotIn(b"\x1b", process.stdout.read())
            process.stdout.close()
            self.assertEqual(process.wait(timeout=30), 0)

    def test_what_nohup_ignores_stays_ignored(self):
        with live_heap() as pid:
            process = subprocess.Popen([programs.tslab, "watch", str(pid), "0.1", "5"], stdout=subprocess.PIPE,
                                       preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
            process.stdout.readline()
            process.send_signal(signal.SIGHUP)
            self.assertEqual(len(process.stdout.read().splitlines()), 5)   # the heading has been read
            process.stdout.close()
            self.assertEqual(process.wait(timeout=30), 0)

    @unittest.skipIf(os.geteuid() != 0 or shutil.which("unshare") is None, "only root can make a namespace")
    def test_without_proc(self):
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no namespace of mounts may be made here, as in a chroot")
        with open(programs.tslab, "rb") as file:
            if b"__asan_init" in file.read():
                self.skipTest("AddressSanitizer itself needs /proc")

        def without_proc(*words, folder="/"):
            script = 'mount -t tmpfs none /proc && cd "$0" && exec "$@"'
            return run("-m", "sh", "-c", script, folder, os.path.abspath(programs.tslab), *words, program="unshare")

        with live_heap("unseen") as pid, tempfile.TemporaryDirectory() as folder:
            for words in (["stats", str(pid)], ["ps"], ["ps", "--json"], ["export", "prometheus", "--all"], ["stats"],
                          ["stats", "unseen"], ["top", "--once"], ["serve", "--port", "0"]):
                with self.subTest(words=words):
                    answer = without_proc(*words)
                    self.assertEqual((answer.returncode, answer.stdout), (3, b""), answer.stderr)
                    self.assertTrue(answer.stderr.endswith(b": /proc is not mounted\n"), answer.stderr)
                    self.assertEqual(answer.stderr.count(b"\n"), 1)
            with open(os.path.join(folder, "saved.json"), "wb") as file:   # a file needs no process
                file.write(run("stats", str(pid), "--json").stdout)
            answer = without_proc("stats", "saved.json", folder=folder)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(b"unseen", answer.stdout)

    def test_watch_ends_with_its_reader(self):
        with live_heap() as pid:
            process = subprocess.Popen([programs.tslab, "watch", str(pid), "0.05"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.wait(timeout=30), 0)
            self.assertEqual(process.stderr.read(), b"")
            process.stderr.close()

    def test_watch_ends_with_its_process(self):
        with live_heap() as pid:
            process = subprocess.Popen([programs.tslab, "watch", str(pid), "0.05"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            process.stdout.readline()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 3)


if __name__ == "__main__":
    main("live_processes.py")
