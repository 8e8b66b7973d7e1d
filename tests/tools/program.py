# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The programs as they are run: exit codes, streams that cannot be written, terminals, signals, damaged input, completion
# and the manual page. The parts about live processes need a kernel that lets this user look into them.
import argparse
import contextlib
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import xml.dom.minidom

programs = argparse.Namespace()


def run(*words, program=None, stdin=None, env=None, **more):
    return subprocess.run([program or programs.tslab, *words], input=stdin, capture_output=True, timeout=60,
                          env={**os.environ, **(env or {})}, **more)


@contextlib.contextmanager
def live_heap(*names, env=None):
    process = subprocess.Popen([programs.heap, *(names or ["held"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env={**os.environ, **(env or {})})
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


class Saved(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lines = subprocess.run([programs.snapshots], capture_output=True, check=True).stdout.decode().splitlines()
        cls.snapshots = dict(line.split("\t", 1) for line in lines)
        cls.folder = tempfile.TemporaryDirectory()
        cls.busy = os.path.join(cls.folder.name, "busy.json")
        with open(cls.busy, "w", encoding="utf-8") as file:
            file.write(cls.snapshots["busy"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def one_error_line(self, answer, code, program=b"tslab"):
        self.assertEqual(answer.returncode, code, answer.stderr)
        self.assertTrue(answer.stderr.startswith(program + b": "), answer.stderr)
        self.assertEqual(answer.stderr.count(b"\n"), 1, answer.stderr)
        self.assertTrue(all(byte >= 0x20 for byte in answer.stderr[:-1]), answer.stderr)

    def test_exit_codes(self):
        self.assertEqual(run("stats", self.busy).returncode, 0)
        self.assertEqual(run("leaks", self.busy, "--older-than", "0s").returncode, 1)
        self.assertEqual(run("leaks", self.busy, "--older-than", "1h").returncode, 0)
        self.assertEqual(run("doctor", self.busy).returncode, 1)
        self.one_error_line(run("stats", self.busy, "--nonsense"), 2)
        self.one_error_line(run(), 2)
        self.one_error_line(run("stats", "/nowhere"), 3)
        self.one_error_line(run("stats", "2147483647"), 3)
        self.one_error_line(run("stats", str(os.getpid())), 3)
        other = json.loads(self.snapshots["busy"]) | {"schema_version": 2}
        self.one_error_line(run("stats", "--stdin", stdin=json.dumps(other).encode()), 4)

    def test_what_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            for words in (["stats", self.busy], ["stats", self.busy, "--json"], ["--help"], ["completion", "bash"]):
                answer = subprocess.run([programs.tslab, *words], stdout=full, stderr=subprocess.PIPE, timeout=60)
                self.one_error_line(answer, 2)
                self.assertIn(b"No space left", answer.stderr)

    def test_a_reader_that_went_away(self):
        for words in (["stats", self.busy, "--json"], ["man"]):
            process = subprocess.Popen([programs.tslab, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.stdout.close()
            self.assertEqual(process.wait(timeout=60), 0)
            self.assertEqual(process.stderr.read(), b"")
            process.stderr.close()

    def test_input_may_come_from_a_pipe(self):
        answer = subprocess.run(["sh", "-c", f"cat '{self.busy}' | '{programs.tslab}' top --epochs --by age_sec --stdin"],
                                capture_output=True, timeout=60)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn(b"GET /", answer.stdout)
        self.assertNotIn(b"\x1b", answer.stdout)

    def test_damaged_input(self):
        text = self.snapshots["filled"].encode()
        chance = random.Random(7)
        for size in [0, 1, 2, 3, *(chance.randrange(len(text)) for _ in range(20))]:
            self.one_error_line(run("stats", "--stdin", stdin=text[:size]), 3)
        for size in (1, 10, 1000, 100000):
            noise = os.path.join(self.folder.name, "noise")
            with open(noise, "wb") as file:
                file.write(chance.randbytes(size))
            for command in ("stats", "doctor", "map", "watch", "diff"):
                self.one_error_line(run(command, noise, *([noise] if command == "diff" else [])), 3)
        for _ in range(10):
            broken = bytearray(text)
            for _ in range(5):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            for command in ("stats", "watch", "top", "epochs", "leaks", "pins", "waterfall", "doctor"):
                answer = run(command, "--stdin", stdin=bytes(broken))
                self.assertIn(answer.returncode, (0, 1, 3, 4), answer.stderr)
        digits = [n for n, byte in enumerate(text) if chr(byte).isdigit() and n > text.index(b"page_size")]
        for _ in range(10):   # other numbers, still JSON
            broken = bytearray(text)
            for n in chance.sample(digits, len(digits) // 100):
                broken[n] = ord("9")
            for command in ("stats", "watch", "top", "epochs", "leaks", "pins", "waterfall", "doctor"):
                answer = run(command, "--stdin", stdin=bytes(broken))
                self.assertIn(answer.returncode, (0, 1, 3, 4), answer.stderr)
        self.one_error_line(run("stats", "/dev/zero"), 3)
        self.one_error_line(run("stats", "--stdin", stdin=b" " * (65 << 20)), 3)

    def test_labels_are_data(self):
        snapshot = json.loads(self.snapshots["busy"])
        snapshot["name"] = "\x1b]0;owned\x07\u202e"
        for epoch in snapshot["epochs"]:
            epoch["label"] = "\x1b[2J\r\n\u009b31m"
        for command in ("stats", "watch", "top", "epochs", "leaks", "pins", "waterfall", "doctor"):
            answer = run(command, "--stdin", *(["--epochs"] if command == "top" else []), stdin=json.dumps(snapshot).encode())
            self.assertIn(answer.returncode, (0, 1))
            for character in answer.stdout.decode():
                self.assertTrue(character == "\n" or (ord(character) >= 0x20 and not 0x7f <= ord(character) < 0xa0
                                                      and character != "\u202e"), (command, character))

    def on_terminal(self, *words, env=None):
        main, terminal = pty.openpty()
        process = subprocess.Popen([programs.tslab, *words], stdout=terminal, stderr=terminal,
                                   env={**os.environ, **(env or {})})
        os.close(terminal)
        text = read_all(main)
        os.close(main)
        return process.wait(timeout=60), text

    def test_colours(self):
        plain = {"NO_COLOR": ""}
        self.assertIn(b"\x1b[1m", self.on_terminal("stats", self.busy, env=plain)[1])
        self.assertNotIn(b"\x1b", self.on_terminal("stats", self.busy, env={"NO_COLOR": "1"})[1])
        self.assertNotIn(b"\x1b", self.on_terminal("stats", self.busy, "--color=never", env=plain)[1])
        self.assertNotIn(b"\x1b", run("stats", self.busy, env=plain).stdout)
        self.assertIn(b"\x1b[1m", run("stats", self.busy, "--color=always", env={"NO_COLOR": "1"}).stdout)
        self.one_error_line(run("stats", self.busy, "--color=sometimes"), 2)

    def test_completion(self):
        script = os.path.join(self.folder.name, "completion.bash")
        with open(script, "wb") as file:
            file.write(run("completion", "bash").stdout)
        subprocess.run(["bash", "-n", script], check=True)
        for shell in filter(shutil.which, ("zsh", "fish")):
            text = os.path.join(self.folder.name, "completion." + shell)
            with open(text, "wb") as file:
                file.write(run("completion", shell).stdout)
            subprocess.run([shell, "-n", text], check=True)

        def completed(*words):
            ask = (f"source '{script}'; [[ $(complete -p tslab) == *_tslab* ]] || exit 1; "
                   f"COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _tslab; "
                   'printf "%s\\n" "${COMPREPLY[@]}"')
            return subprocess.run(["bash", "-c", ask], capture_output=True, check=True, timeout=60).stdout.decode().split()

        self.assertIn("doctor", completed("tslab", "d"))
        self.assertNotIn("stats", completed("tslab", "d"))
        self.assertEqual(completed("tslab", "diff", "--fail"), ["--fail-on"])
        self.assertIn("--color", completed("tslab", "top", "--"))
        self.assertEqual(completed("tslab", "completion", "z"), ["zsh"])
        self.assertEqual(completed("tslab", "export", "p"), ["prometheus"])
        self.assertEqual(completed("tslab", "export", "prometheus", "--text"), ["--textfile"])

    def test_manual_page(self):
        page = run("man").stdout
        self.assertTrue(page.startswith(b".TH TSLAB 1"))
        for line in run("--help").stdout.decode().split("Subcommands:")[1].splitlines():
            if line.startswith("  ") and not line.startswith("   "):
                self.assertIn(f".SS {line.split()[0]}\n".encode(), page)

    def test_every_command_and_option_is_in_the_page_and_the_completions(self):
        """As --help shows them, commands inside a command included."""
        page = run("man").stdout.decode().replace("\\-", "-")
        completions = {shell: run("completion", shell).stdout.decode() for shell in ("bash", "zsh", "fish")}
        seen = []

        def look_at(*command):
            help_text = run(*command, "--help").stdout.decode()
            seen.append(" ".join(command))
            section = page.split(f".SS {' '.join(command)}\n")[1].split("\n.S")[0] if command else page
            for option in re.findall(r"^  (?:-\w,)?--([\w-]+)", help_text, re.MULTILINE):
                self.assertIn(f"--{option}\\fR", section, command)
                self.assertRegex(completions["bash"], rf"--{option}\b")
                self.assertIn(f"'--{option}:", completions["zsh"])
                self.assertIn(f" -l {option} ", completions["fish"])
            for name in re.findall(r"^  (\w+) ", help_text.partition("Subcommands:")[2], re.MULTILINE):
                for text in completions.values():
                    self.assertRegex(text, rf"\b{name}\b")
                look_at(*command, name)

        look_at()
        self.assertIn("stats", seen)
        self.assertIn("export prometheus", seen)
        page = run("--man", program=programs.stats_dump).stdout.decode().replace("\\-", "-")
        self.assertTrue(page.startswith(".TH STATS_DUMP 1"))
        options = re.findall(r"--([\w-]+)", run("--help", program=programs.stats_dump).stdout.decode().partition("Options:")[2])
        self.assertIn("no-text", options)
        for option in options:
            self.assertIn(f"--{option}", page)

    def test_stats_dump(self):
        def dump(*words, **more):
            return run(*words, program=programs.stats_dump, **more)

        both = dump(self.busy)
        self.assertEqual(both.returncode, 0)
        self.assertEqual(json.loads(both.stdout), json.loads(self.snapshots["busy"]))
        self.assertIn(b"process RSS", both.stderr)
        for flag in ("--json", "--no-text"):
            answer = dump(self.busy, flag)
            self.assertEqual((answer.returncode, answer.stderr), (0, b""))
            json.loads(answer.stdout)
        for flag in ("--text", "--no-json"):
            answer = dump(self.busy, flag)
            self.assertEqual((answer.returncode, answer.stdout), (0, b""))
            self.assertIn(b"process RSS", answer.stderr)
        self.assertIn(b"To do:", dump(self.busy, "--no-text", "--doctor").stderr)
        self.one_error_line(dump(os.path.join(self.folder.name, "nothing")), 3, b"stats_dump")
        bad = dump("--nonsense")
        self.assertEqual(bad.returncode, 2)
        self.assertIn(b"Usage:", bad.stdout + bad.stderr)
        self.assertEqual(dump("--stdin", stdin=self.snapshots["busy"].encode()).returncode, 0)


def read_all(terminal, until=None, seconds=60):
    """What comes out of a terminal until it is closed, or until a text has come."""
    text = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (until is None or until not in text):
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                some = os.read(terminal, 65536)
            except OSError:   # the other side is closed
                break
            if not some:
                break
            text += some
    return text


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
    parser = argparse.ArgumentParser()
    for name in ("tslab", "stats-dump", "snapshots", "heap"):
        parser.add_argument("--" + name, required=True)
    programs, rest = parser.parse_known_args()
    unittest.main(argv=["program.py", *rest])
