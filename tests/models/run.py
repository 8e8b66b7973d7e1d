#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Verifies a Promela model and refutes its mutants, or checks that models and code point at each other.

A model's opening comment lists its variants ("Variants: (none) NAME ...": each is verified) and its mutants
("MUTANT_NAME (VARIANT): assertion label", where a comment behind that assertion, or on the line after it begins, gives the
label; or "MUTANT_NAME: invalid end state", if threads must wait for each other for ever). Everything that the file tests with the preprocessor must be listed, and the other way round.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

VERIFY_MIB = 1500
DEPTH = 100_000


def fail(message):
    sys.exit(f"models: {message}")


def run(command, where, allowed=(0,)):
    done = subprocess.run(command, cwd=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode not in allowed:
        fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def preprocessor(tools):
    """spin preprocesses with gcc by default, and a machine that has only clang has no gcc."""
    return f"-P{tools.compiler} -E -x c"


class Model:
    def __init__(self, path):
        self.path = path
        self.text = path.read_text()
        listed = re.search(r"^// Variants: (.*)$", self.text, re.M)
        if not listed:
            fail(f"{path.name} lists no variants")
        self.variants = ["" if v == "(none)" else v for v in listed.group(1).split()]
        self.mutants = re.findall(r"^// (MUTANT_\w+)(?: \((\w+)\))?: (?:assertion )?(\w+|invalid end state)$", self.text, re.M)
        known = {m[0] for m in self.mutants}
        used = set(re.findall(r"\bMUTANT_\w+", re.sub(r"^//.*$", "", self.text, flags=re.M)))
        if known != used:
            fail(f"{path.name}: mutants without an expectation, or not in the code: {' '.join(sorted(known ^ used))}")

    def spin(self, tools, where, options, hash_bits):
        defines = [f"-D{o}" for o in options if o]
        run([tools.spin, preprocessor(tools), *defines, "-a", self.path], where)
        # Not optimised: that takes nine times as long to compile, and only one search is long enough to make up for it.
        run([tools.compiler, "-x", "c", "-O0", "-w", "-DSAFETY", f"-DMEMLIM={VERIFY_MIB}", "-o", "pan",
             "pan.c"], where)
        # pan ends with 0 whatever it finds.
        return run(["./pan", f"-m{DEPTH}", f"-w{hash_bits}"], where), defines

    def verify(self, tools, variant):
        with tempfile.TemporaryDirectory() as where:
            output, _ = self.spin(tools, where, [variant], 22)
        name = f"{self.path.stem} {variant}".strip()
        states = re.search(r"^\s*(\S+) states, stored", output, re.M)
        depth = re.search(r"depth reached (\d+)", output)
        memory = re.search(r"([\d.]+)\s+total actual memory usage", output)
        for bad in ("max search depth too small", "Search not completed", "out of memory", "memory limit", "assertion violated",
                    "invalid end state (", "error:"):
            if bad in output:
                fail(f"{name} is not verified ({bad}):\n{output}")
        if "errors: 0" not in output or not states or "invalid end states\t+" not in output:
            fail(f"{name} is not verified:\n{output}")
        print(f"verified  {name:28} {int(float(states.group(1))):>9} states, depth {depth.group(1)}, "
              f"{float(memory.group(1)):.0f} MiB", flush=True)

    def refute(self, tools, mutant, variant, label):
        with tempfile.TemporaryDirectory() as where:
            output, defines = self.spin(tools, where, [mutant, variant], 18)
            if label == "invalid end state":
                if "errors: 0" in output or "invalid end state (" not in output:
                    fail(f"{self.path.stem}: {mutant} is not refuted by an {label}:\n{output}")
                print(f"refuted   {self.path.stem:9} {mutant[7:]:30} by an {label}", flush=True)
                return
            if "errors: 0" in output or "assertion violated" not in output:
                fail(f"{self.path.stem}: {mutant} is not refuted:\n{output}")
            trail = f"{self.path.name}.trail"
            trace = run([tools.spin, preprocessor(tools), *defines, "-t", "-k", trail, self.path], where, allowed=(0, 1))
        line = re.search(r"\.pml:(\d+), Error: assertion violated", trace)
        found = re.search(r"// (\w+)", self.text.splitlines()[int(line.group(1)) - 1]) if line else None
        if not found or found.group(1) != label:
            fail(f"{self.path.stem}: {mutant} is refuted, but by {found and found.group(1)} and not by {label}:\n{trace[-800:]}")
        print(f"refuted   {self.path.stem:9} {mutant[7:]:30} by {label}", flush=True)


def check_references(source, folder):
    """Every place of the code that a model names exists, and says which step of which model stands for it."""
    problems = []
    steps = {}
    for path in sorted(folder.glob("*.pml")):
        for step, places in re.findall(r"// Step (\w+)\.\s+Code: (.*)$", path.read_text(), re.M):
            steps.setdefault((path.name, step), []).extend(p.strip().split(" ") for p in places.split(";"))
    if not steps:
        problems.append("no model names any code")
    tagged = {}
    for path in sorted(p for part in ("modules", "pmr") for p in (source / part).rglob("*.[ch]pp*")):
        for models in re.findall(r"// Modelled: (.*)$", path.read_text(), re.M):
            for reference in models.split(";"):
                match = re.fullmatch(r"tests/models/([\w.]+), step (\w+)", reference.strip())
                where = path.relative_to(source).as_posix()
                if not match or match.groups() not in steps:
                    problems.append(f"{where}: no such step: {reference.strip()}")
                else:
                    tagged.setdefault(match.groups(), set()).add(where)
    for (model, step), places in steps.items():
        for file, function in places:
            path = source / file
            name = function.split("::")[-1]
            if not path.is_file() or not re.search(rf"\b{name}\s*\(", path.read_text()):
                problems.append(f"{model}, step {step}: {file} has no {function}")
        if not tagged.get((model, step), set()) & {file for file, _ in places}:
            problems.append(f"{model}, step {step}: no comment 'Modelled: tests/models/{model}, step {step}' in "
                            f"{' or '.join(sorted({file for file, _ in places}))}")
    if problems:
        fail("\n  ".join(["models and code do not point at each other:", *problems]))
    print(f"{len(steps)} steps in {len({m for m, _ in steps})} models and the code point at each other")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spin", default="spin")
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--references", metavar="SOURCE", type=pathlib.Path, help="check references; SOURCE: the project")
    parser.add_argument("--only", metavar="MUTANT", help="one mutant, or `mutants`, and no variant")
    parser.add_argument("model", nargs="*", type=pathlib.Path)
    tools = parser.parse_args()
    if tools.references:
        check_references(tools.references, pathlib.Path(__file__).parent)
    for path in tools.model:
        model = Model(path.resolve())
        for variant in model.variants if not tools.only else []:
            model.verify(tools, variant)
        for mutant, variant, label in model.mutants:
            if tools.only in (None, "mutants", mutant):
                model.refute(tools, mutant, variant, label)
    used = os.times()
    print(f"{used.children_user + used.children_system:.1f} s of processor time")


main()
