# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What `tslab profile --pprof` writes, read by others: by a decoder of the wire format of protocol buffers (support/wire.py), and
# by `go tool pprof` where Go is installed.
import argparse
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from wire import all_of, one_of, packed  # noqa: E402

programs = argparse.Namespace()


class Decoded:
    """A profile.proto message; the numbers of fields are those of https://github.com/google/pprof/tree/main/proto."""

    def __init__(self, data):
        message = gzip.decompress(data)
        self.texts = [text.decode() for text in all_of(message, 6)]
        self.types = [(self.text(one_of(t, 1)), self.text(one_of(t, 2))) for t in all_of(message, 1)]
        self.default = self.text(one_of(message, 14))
        period_type = one_of(message, 11, b"")
        self.period = (self.text(one_of(period_type, 1)), self.text(one_of(period_type, 2)), one_of(message, 12))
        self.time, self.duration = one_of(message, 9), one_of(message, 10)
        self.drop = self.text(one_of(message, 7))
        self.comments = [self.text(n) for n in all_of(message, 13)]
        self.mappings = {one_of(m, 1): {"begin": one_of(m, 2), "end": one_of(m, 3), "offset": one_of(m, 4),
                                        "file": self.text(one_of(m, 5)), "build_id": self.text(one_of(m, 6)),
                                        "functions": one_of(m, 7), "lines": one_of(m, 9)} for m in all_of(message, 3)}
        functions = {one_of(f, 1): (self.text(one_of(f, 2)), self.text(one_of(f, 3)), self.text(one_of(f, 4)))
                     for f in all_of(message, 5)}
        self.locations = {one_of(l, 1): {"mapping": one_of(l, 2), "address": one_of(l, 3),
                                         "lines": [(*functions[one_of(n, 1)], one_of(n, 2)) for n in all_of(l, 4)]}
                          for l in all_of(message, 4)}
        self.samples = [{"stack": [self.locations[n] for n in packed(one_of(s, 1, b""))], "values": packed(one_of(s, 2)),
                         "tags": {self.text(one_of(t, 1)): self.text(one_of(t, 2)) or one_of(t, 3) for t in all_of(s, 3)}}
                        for s in all_of(message, 2)]

    def text(self, number):
        return self.texts[number]


class Readers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        printed = subprocess.run([programs.printer], capture_output=True, check=True, timeout=60)
        cls.line = int(printed.stderr)
        cls.saved = cls.write("saved.json", printed.stdout)
        cls.pprof = os.path.join(cls.folder.name, "heap.pb.gz")
        answer = cls.profile(cls.saved, "--pprof", cls.pprof)
        assert answer.returncode == 0, answer.stderr
        cls.names = b"built without libdw" not in cls.profile(cls.saved).stdout

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, data):
        path = os.path.join(cls.folder.name, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    @staticmethod
    def profile(*words):
        return subprocess.run([programs.tslab, "profile", *words], capture_output=True, timeout=120)

    def decoded(self, path=None):
        with open(path or self.pprof, "rb") as file:
            return Decoded(file.read())

    def test_the_message(self):
        p = self.decoded()
        with open(self.saved, encoding="utf-8") as file:
            saved = json.load(file)
        self.assertEqual(p.texts[0], "")
        self.assertEqual(p.types, [("alloc_objects", "count"), ("alloc_space", "bytes"),
                                   ("inuse_objects", "count"), ("inuse_space", "bytes")])
        self.assertEqual(p.default, "inuse_space")
        self.assertEqual(p.period, ("space", "bytes", saved["interval_bytes"]))
        self.assertEqual((p.time, p.duration), (saved["time_ns"], saved["time_ns"] - saved["begin_ns"]))
        self.assertEqual(len(p.samples), len(saved["stacks"]))
        for sample, stack in zip(p.samples, saved["stacks"]):
            self.assertEqual(sample["values"], [stack["allocated_objects"], stack["allocated_bytes"],
                                                stack["live_objects"], stack["live_bytes"]])
            self.assertEqual([l["address"] + 1 for l in sample["stack"]], stack["addresses"])
            self.assertEqual(sample["tags"].get("label", ""), stack["label"])
            self.assertEqual(sample["tags"]["bytes"], stack["slot_bytes"])
        ids = {m["build_id"] for m in saved["mappings"]}
        self.assertTrue({m["build_id"] for m in p.mappings.values()} <= ids)
        for location in p.locations.values():
            mapping = p.mappings.get(location["mapping"])
            self.assertTrue(mapping is None or mapping["begin"] <= location["address"] < mapping["end"], location)

    def test_functions_and_lines(self):
        if not self.names:
            return   # of a build without libdw; what it says instead is in tools_profile
        login = next(s for s in self.decoded().samples if s["tags"].get("label") == "login")
        lines = [line for location in login["stack"] for line in location["lines"]]
        names = [line[0] for line in lines]
        at = names.index("shop::sessions::open_session")
        self.assertIn("session_cache::remember", names[at - 1])   # inlined into it, at the same address
        self.assertEqual(lines[at][1], "_ZN4shop8sessions12open_sessionERNSt3pmr15memory_resourceEm")
        self.assertTrue(lines[at][2].endswith("session_library.cpp"), lines[at])
        self.assertEqual(lines[at][3], self.line)
        inside = next(l for l in login["stack"] if len(l["lines"]) > 1)
        self.assertIn("shop::sessions::open_session", [line[0] for line in inside["lines"]])
        self.assertIn("main", names)
        self.assertLess(at, names.index("main"))

    def test_a_difference_may_be_negative(self):
        with open(self.saved, encoding="utf-8") as file:
            later = json.load(file)
        later["time_ns"] += 10**9
        later["stacks"][0]["live_bytes"] -= 1000
        path = self.write("later.json", json.dumps(later).encode())
        to = os.path.join(self.folder.name, "difference.pb.gz")
        answer = self.profile(path, "--since", self.saved, "--pprof", to)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        samples = self.decoded(to).samples
        self.assertEqual([s["values"] for s in samples], [[0, 0, 0, -1000]])

    def test_a_stripped_library(self):
        if not self.names:
            return
        with open(self.saved, encoding="utf-8") as file:
            saved = json.load(file)
        library = next(m for m in saved["mappings"] if "session_library" in m["file"])
        stripped = os.path.join(self.folder.name, "libstripped.so")
        subprocess.run([programs.strip, "-s", "-o", stripped, library["file"]], check=True)
        library["file"] = stripped
        answer = self.profile(self.write("stripped.json", json.dumps(saved).encode()), "--of", "allocated_bytes")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn(f"libstripped.so (build id {library['build_id']}) is stripped", answer.stdout.decode())
        self.assertIn(b"shop::sessions::open_session", answer.stdout)   # it is exported
        self.assertNotIn(b"build_page", answer.stdout)                  # it is not
        self.assertIn(b"libstripped.so+0x", answer.stdout)

    def test_a_library_that_is_cut_short(self):
        with open(self.saved, encoding="utf-8") as file:
            saved = json.load(file)
        library = next(m for m in saved["mappings"] if "session_library" in m["file"])
        with open(library["file"], "rb") as file:
            whole = file.read()
        for size in (0, 3, 64, 1000, len(whole) // 2):
            library["file"] = self.write(f"libcut{size}.so", whole[:size])
            answer = self.profile(self.write("cut.json", json.dumps(saved).encode()))
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(f"libcut{size}.so", answer.stdout.decode())

    def test_go_reads_it(self):
        go = shutil.which("go")
        if go is None or not self.names:
            return   # the decoder above reads the same file
        answer = subprocess.run([go, "tool", "pprof", "-top", "-nodecount=20", self.pprof], capture_output=True, timeout=120,
                                env={**os.environ, "HOME": self.folder.name, "PPROF_TMPDIR": self.folder.name})
        self.assertEqual(answer.returncode, 0, answer.stderr)
        text = answer.stdout.decode()
        self.assertIn("Type: inuse_space", text)
        self.assertIn("shop::sessions::open_session", text)
        raw = subprocess.run([go, "tool", "pprof", "-raw", self.pprof], capture_output=True, timeout=120,
                             env={**os.environ, "HOME": self.folder.name, "PPROF_TMPDIR": self.folder.name})
        self.assertEqual(raw.returncode, 0, raw.stderr)
        self.assertIn("label:[login]", raw.stdout.decode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("tslab", "printer", "strip"):
        parser.add_argument("--" + name, required=True)
    _, rest = parser.parse_known_args(namespace=programs)
    unittest.main(argv=[__file__, *rest])
