# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of the programs share: how one is run, and a process that holds heaps.
import argparse
import contextlib
import os
import select
import subprocess
import time
import unittest

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


def main(file):
    """Runs the tests of `file` with the programs that the command line names."""
    parser = argparse.ArgumentParser()
    for name in ("tslab", "stats-dump", "snapshots", "heap"):
        parser.add_argument("--" + name, required=True)
    _, rest = parser.parse_known_args(namespace=programs)
    unittest.main("__main__", argv=[file, *rest])
