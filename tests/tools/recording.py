#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded demonstration of a leak, docs/leak.cast: a server some of whose requests never leave their scope, found with `tslab`.

--write runs the request server and the commands on a terminal, and records what they print, in the format of asciinema (asciicast v2).
--play shows a recording here. --check runs nothing but `tslab --help`: the recording must be one, its commands and options must exist, and
it must show the leak, by whom it was entered and what to do.
"""
import argparse
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import fcntl
import time

WIDTH, HEIGHT = 132, 40
TARGET = "request_server"
SCRIPT = [
    ("A server. Requests have memory of their own, and some never leave their scope: which?", None),
    ("", f"tslab top --labels --once {TARGET}"),
    ("", f"tslab leaks --older-than 5s {TARGET}"),
    ("", f"tslab doctor --older-than 5s {TARGET}"),
]
PROMPT = "\x1b[1;32m$\x1b[0m "
TYPING, PAUSE = 0.04, 2.0   # seconds: by character, after each output


def outputs(command, directory):
    """(seconds since the begin, text) of what a command prints on a terminal of that size."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    begin = time.monotonic()
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command.split(), stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        while True:
            select.select([main], [], [])
            try:
                text = os.read(main, 65536)
            except OSError:   # the other side is closed
                break
            if not text:
                break
            yield time.monotonic() - begin, text.decode()
    os.close(main)
    if process.returncode not in (0, 1):   # 1: there are leaks
        sys.exit(f"`{command}` ended with {process.returncode}")


def events(directory):
    now = 0.5
    for comment, command in SCRIPT:
        yield now, PROMPT
        for character in f"# {comment}" if command is None else command:
            now += TYPING
            yield now, character
        now += TYPING
        yield now, "\r\n"
        last = 0
        for last, text in outputs(command, directory) if command else ():
            yield now + last, text
        now += last + PAUSE
    yield now, PROMPT


def record(arguments):
    server = arguments.build / "examples/request_server/request_server"
    with subprocess.Popen([server, "--seconds", "90", "--forget", "3"], stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(60):   # until there is something to find
                if subprocess.run([arguments.build / "tools/tslab", "leaks", "--older-than", "6s", str(process.pid)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 1:
                    break
                time.sleep(1)
            made = [[round(at, 3), "o", text] for at, text in events(arguments.build / "tools")]
        finally:
            process.terminate()
    header = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": "tslab: who leaks",
              "env": {"TERM": "xterm-256color", "SHELL": "/bin/sh"}}
    lines = [json.dumps(one, ensure_ascii=False) for one in (header, *made)]
    text = "\n".join(lines)
    if str(pathlib.Path(__file__).resolve().parents[2]) in text or str(arguments.build) in text:
        sys.exit("the recording has paths of this machine")
    arguments.cast.write_text(text + "\n", encoding="utf-8")


def read(path):
    """(header, events) of a recording."""
    header, *made = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return header, made


def play(arguments):
    now = 0
    for at, _, text in read(arguments.cast)[1]:
        time.sleep(max(at - now, 0))
        now = at
        print(text, end="", flush=True)
    print()


def faults(arguments):
    """What is wrong with the recording."""
    header, made = read(arguments.cast)
    if header.get("version") != 2 or not all(isinstance(header.get(side), int) for side in ("width", "height")):
        yield "the first line is no header of asciicast v2"
    times = [at for at, _, _ in made]
    if times != sorted(times) or any(kind != "o" or not isinstance(text, str) for _, kind, text in made):
        yield "the events are no output in the order of time"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "".join(text for _, _, text in made)).replace("\r\n", "\n")
    commands = re.findall(r"^\$ (tslab .+)$", text, re.MULTILINE)
    if commands != [command for _, command in SCRIPT if command]:
        yield f"the commands are {commands}: record it again (script/record-demo --write)"
    for command in commands:
        _, name, *words = command.split()
        done = subprocess.run([arguments.tslab, name, "--help"], capture_output=True, text=True, check=False)
        missing = [word for word in words if word.startswith("--") and word not in re.findall(r"--[a-z-]+", done.stdout)]
        if done.returncode != 0 or missing:
            yield f"`{command}`: there is no such command, or no {missing}"
    for shown in (r"GET /forget", r"entered .*\.cpp:\d+", r"To do:"):
        if not re.search(shown, text):
            yield f"nothing shows `{shown}`"


def main():
    source = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="record-demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cast", type=pathlib.Path, default=source / "docs/leak.cast", help="the recording [docs/leak.cast]")
    parser.add_argument("--build", type=pathlib.Path, default=source / "build/release", metavar="DIR", help="[build/release]")
    parser.add_argument("--tslab", help="the program, for --check")
    action = parser.add_mutually_exclusive_group(required=True)
    for name in ("write", "play", "check"):
        action.add_argument("--" + name, action="store_true")
    arguments = parser.parse_args()
    if arguments.play:
        play(arguments)
    elif arguments.write:
        record(arguments)
    elif found := list(faults(arguments)):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
