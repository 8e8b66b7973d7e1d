#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The protobuf format of the metrics, read by others: by support/wire.py, which must find what the text has, and by protoc, where it is
installed, which must write the same bytes again."""
import argparse
import math
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
from typing import NamedTuple, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from wire import all_of, delimited, fields, one_of, varints, zigzag  # noqa: E402

TYPES = {0: "counter", 1: "gauge", 4: "histogram"}
VALUE_OF = {"gauge": 2, "counter": 3, "histogram": 7}   # fields of a message Metric
programs = argparse.Namespace()


def printed(*words):
    return subprocess.run([programs.metrics, *words], check=True, capture_output=True, timeout=60).stdout


def series(name, labels, **more):
    """What tells a series from others; bounds as far as the text has them."""
    both = {**labels, **more}
    if "le" in both:
        both["le"] = f"{float(both['le']):.14g}"
    return name, tuple(sorted(both.items()))


def text_values(text):
    """({family: (type, help)}, {series: value})."""
    families, values = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, families[name] = line.split(" ", 3)[2], ("", line.split(" ", 3)[3])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            families[name] = (kind, families[name][1])
        else:
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
            assert not any("\\" in value for value in pairs.values()), line   # nothing here has to be escaped
            values[series(name, pairs)] = float(value)
    return families, values


class Native(NamedTuple):
    name: str
    labels: dict
    count: int
    schema: int
    zero_threshold: float
    zero_count: int
    buckets: dict   # index -> count


def native(name, labels, histogram) -> Optional[Native]:
    if not all_of(histogram, 6):
        return None
    deltas = [zigzag(n) for n in varints(one_of(histogram, 13, b""))]
    buckets, index, count = {}, 0, 0
    for span in all_of(histogram, 12):
        index += zigzag(one_of(span, 1))
        for _ in range(one_of(span, 2)):
            count += deltas.pop(0)
            buckets[index] = count
            index += 1
    assert not deltas, "more differences than buckets"
    return Native(name, labels, one_of(histogram, 1), zigzag(one_of(histogram, 5, None)), one_of(histogram, 6),
                  one_of(histogram, 7, None), buckets)


def message_values(stream):
    """As text_values, and the native histograms."""
    families, values, natives = {}, {}, []
    for family in delimited(stream):
        name = one_of(family, 1).decode()
        kind = TYPES[one_of(family, 3, None)]
        assert name not in families, name
        families[name] = (kind, one_of(family, 2).decode())
        for metric in all_of(family, 4):
            labels = {one_of(l, 1).decode(): one_of(l, 2).decode() for l in all_of(metric, 1)}
            assert {number for number, _ in fields(metric)} <= {1, VALUE_OF[kind]}, name
            value = one_of(metric, VALUE_OF[kind], None)
            if kind != "histogram":
                values[series(name, labels)] = one_of(value, 1, None)
                continue
            for bucket in all_of(value, 3):
                values[series(name + "_bucket", labels, le=one_of(bucket, 2))] = one_of(bucket, 1)
            values[series(name + "_bucket", labels, le=math.inf)] = one_of(value, 1)
            values[series(name + "_count", labels)] = one_of(value, 1)
            values[series(name + "_sum", labels)] = one_of(value, 2)
            if found := native(name, labels, value):
                natives.append(found)
    return families, values, natives


class Messages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stream = printed("protobuf")
        cls.families, cls.values, cls.natives = message_values(cls.stream)

    def cumulative(self, of):
        """[(upper bound, count)] of the classic buckets, ascending."""
        want = set(of.labels.items())
        return sorted((float(dict(labels)["le"]), value) for (name, labels), value in self.values.items()
                      if name == of.name + "_bucket" and want <= set(labels))

    def test_it_has_what_the_text_has(self):
        families, values = text_values(printed().decode())
        self.assertEqual(self.families, families)
        self.assertEqual(set(self.values), set(values))
        for one, value in values.items():
            self.assertTrue(math.isclose(self.values[one], value, rel_tol=1e-15), (one, value, self.values[one]))
        self.assertGreater(len(values), 1000)

    def test_what_phases_cost_is_native(self):
        names = {n.name for n in self.natives}
        self.assertEqual(names, {f"temporal_slab_phase_{figure}" for figure in ("objects", "bytes", "peak_bytes", "seconds")})
        for n in self.natives:
            self.assertEqual((n.schema, n.zero_threshold), (0, 2.0**-128))
            self.assertEqual(n.count, n.zero_count + sum(n.buckets.values()))
            self.assertTrue(all(n.buckets.values()), n)
            self.assertGreater(len(n.buckets), 40)   # every bucket of this snapshot has something

    def test_native_buckets_are_the_classic_ones(self):
        compared = 0
        for n in self.natives:
            classic = self.cumulative(n)
            for index in n.buckets:
                bound = 2.0**index
                up_to = n.zero_count + sum(count for i, count in n.buckets.items() if i <= index)
                if n.name.endswith("_seconds"):   # its bounds are powers of two of ns: between those on either side
                    below = [count for le, count in classic if le < bound]
                    above = next(count for le, count in classic if le >= bound)
                    self.assertTrue(not below or below[-1] < up_to, (n.name, index))
                    self.assertLessEqual(up_to, above, (n.name, index))
                    compared += 1
                elif index >= 3:   # the bound is a power of two less one
                    same = [count for le, count in classic if le == bound - 1]
                    self.assertIn(same, ([], [up_to]), (n.name, index))
                    compared += len(same)
        self.assertGreater(compared, 100)

    def test_protoc_writes_the_same_bytes(self):
        protoc = shutil.which("protoc")
        if protoc is None:
            return   # the reader above reads the same messages
        here = pathlib.Path(__file__).parent
        message = b"".join(b"\x0a" + self.length(one) + one for one in delimited(self.stream))
        common = ["--proto_path=" + str(here), str(here / "metrics.proto")]

        def run(what, data):
            answer = subprocess.run([protoc, f"--{what}=io.prometheus.client.Families", *common], input=data, capture_output=True,
                                    timeout=120)
            self.assertEqual((answer.returncode, answer.stderr), (0, b""))
            return answer.stdout

        text = run("decode", message)
        self.assertIsNone(re.search(rb"^\s*\d+[:{ ]", text, re.M), "fields that the description does not have")
        self.assertEqual(run("encode", text), message)

    @staticmethod
    def length(message):
        size, out = len(message), b""
        while size >= 0x80:
            out += bytes([size & 0x7F | 0x80])
            size >>= 7
        return out + bytes([size])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", required=True, help="prints the metrics of a full snapshot")
    _, rest = parser.parse_known_args(namespace=programs)
    unittest.main(argv=[__file__, *rest])
