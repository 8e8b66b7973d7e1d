# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The programs as they are run: exit codes, streams that cannot be written, damaged input, completion and the manual page.
import json
import os
import pty
import random
import re
import resource
import shutil
import subprocess
import tempfile
import unittest

from run_programs import main, programs, read_all, run


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

    def test_what_may_not_be_written(self):
        for words in (["stats", self.busy, "--json"], ["--help"], ["completion", "bash"]):
            with tempfile.TemporaryFile() as out:
                answer = subprocess.run([programs.tslab, *words], stdout=out, stderr=subprocess.PIPE, timeout=60,
                                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
                self.one_error_line(answer, 2)
                self.assertIn(b"File too large", answer.stderr)

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
        for words, said in ((["--nonsense"], b'there is no option "--nonsense"; see stats_dump --help'),
                            (["--no-txt"], b'there is no option "--no-txt"; did you mean --no-text? See stats_dump --help'),
                            (["1", "2"], b'it takes no further word, and "2" is one too many; see stats_dump --help'),
                            (["--heap"], b"--heap needs a value, NAME; see stats_dump --help")):
            bad = dump(*words)
            self.one_error_line(bad, 2, b"stats_dump")
            self.assertEqual((bad.stdout, bad.stderr), (b"", b"stats_dump: " + said + b"\n"))
        self.assertEqual(dump("--stdin", stdin=self.snapshots["busy"].encode()).returncode, 0)


if __name__ == "__main__":
    main("program.py")
