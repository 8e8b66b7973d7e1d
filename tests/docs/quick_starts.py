#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Follows docs/quick-start.md: makes the files that it shows, runs its commands in their order, and compares what they print.

A block of code is a file if its first line is a comment with a name. A block `text` is what the commands before it print at their end. The section "Build and
install" is run with the build in --build in place of the preset `user`. --print writes a section as a script for bash, with all files of the page
before it, and runs nothing. What README.md shows of it has to be the same."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^(?:## (?P<heading>[^\n]+)|```(?P<kind>\w+)\n(?P<text>.*?)^```)$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^(?://|#|/\*) (?P<name>[\w./-]+\.\w+|Makefile)(?: \*/)?\n")
NEEDS = {"Rust": "cargo", "Meson": "meson"}   # sections that are left out where there is no such program
ELSEWHERE = {"Debian packages"}               # run by script/test-packages


def blocks_of(page):
    """(section, kind, text) of each block."""
    section = ""
    for match in BLOCK.finditer(page):
        section = match["heading"] or section
        if match["kind"]:
            yield section, match["kind"], match["text"]


def as_script(blocks, wanted):
    """The section as a script, for a shell in which nothing of the others was run."""
    lines = ["set -euo pipefail"]
    for section, kind, text in blocks:
        if found := FILE.match(text):
            if "/" not in found["name"]:
                lines.append(f"cat >{found['name']} <<'END_OF_FILE'\n{text}END_OF_FILE")
        elif section == wanted and kind == "sh":
            lines.append(f"{{\n{text}}} >output")
        elif section == wanted and kind == "text":
            lines.append(f"diff <(tail -n {text.count(chr(10))} output) - <<'END_OF_TEXT'\n{text}END_OF_TEXT")
    return "\n".join(lines) + "\n"


def check_readme(root, blocks):
    """What README.md shows of this is the same text: its programs, their outputs, and its commands but for where the packages lie."""
    known = {text for _, _, text in blocks}
    lines = {line.replace("apt install -y", "sudo apt install").replace(" ./libtslab", " ./build/packages/libtslab")
             for _, kind, text in blocks if kind == "sh" for line in text.splitlines()}
    shown = list(blocks_of((root / "README.md").read_text(encoding="utf-8")))
    for _, kind, text in shown:
        if kind in ("cpp", "text") and text not in known:
            raise SystemExit(f"README.md shows what docs/quick-start.md does not:\n{text}")
        for line in text.splitlines() if kind == "sh" else ():
            if line not in lines and not (line.startswith("script/") and (root / line).exists()):
                raise SystemExit(f"README.md has a command that docs/quick-start.md has not: {line}")
    if {kind for _, kind, _ in shown} < {"sh", "cpp", "text"}:
        raise SystemExit("README.md shows no program: is this test looking at the right text?")


def stand_in(folder, cmake, build):
    """A `cmake` for whom the preset `user` is configured and built already."""
    script = folder / "cmake"
    script.write_text(f"""#!/bin/sh
case $* in
'--preset user') exit 0 ;;
'--build --preset user --target install') exec '{cmake}' --install '{build}' --prefix "$HOME/tslab" ;;
esac
exec '{cmake}' "$@"
""")
    script.chmod(0o755)


def run(commands, where, environment):
    """Runs commands in a shell of their own. Returns what they printed to stdout, and the environment they left."""
    marker = "-- environment --"
    script = f"set -euo pipefail\n{commands}\nprintf '%s\\0' '{marker}'\nenv -0\n"
    answer = subprocess.run(["bash", "-c", script], cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = answer.stdout.decode(errors="replace")
    if answer.returncode:
        raise SystemExit(f"these commands end with {answer.returncode}:\n{commands}\n{output}")
    printed, rest = output.split(f"{marker}\0")
    return printed, dict(one.split("=", 1) for one in rest.split("\0") if "=" in one)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the source tree")
    parser.add_argument("--build", type=pathlib.Path, help="a build of it")
    parser.add_argument("--cmake", type=pathlib.Path, help="the program")
    parser.add_argument("--print", metavar="SECTION")
    arguments = parser.parse_args()
    blocks = list(blocks_of((arguments.root / "docs/quick-start.md").read_text(encoding="utf-8")))
    if wanted := getattr(arguments, "print"):
        if not any(section == wanted for section, _, _ in blocks):
            raise SystemExit(f"docs/quick-start.md has no section {wanted}")
        sys.stdout.write(as_script(blocks, wanted))
        return 0

    check_readme(arguments.root, blocks)
    ran, left_out, files, compared = [], set(), 0, 0
    with tempfile.TemporaryDirectory(prefix="tslab-quick-start-") as name:
        home = pathlib.Path(name)
        work, programs = home / "work", home / "programs"
        work.mkdir()
        programs.mkdir()
        stand_in(programs, arguments.cmake, arguments.build)
        kept = {key: os.environ[key] for key in ("LANG", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR") if key in os.environ}
        for key, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):   # Cargo looks in the home that it was installed in
            kept.setdefault(key, str(pathlib.Path.home() / folder))
        environment = kept | {"HOME": name, "PATH": f"{programs}:{os.environ['PATH']}", "CARGO_NET_OFFLINE": "true",
                              "CARGO_TARGET_DIR": str(home / "cargo")}
        printed = None
        for section, kind, text in blocks:
            if section in ELSEWHERE:
                continue
            if section in NEEDS and not shutil.which(NEEDS[section]):
                left_out.add(section)
                continue
            if found := FILE.match(text):
                (work / found["name"]).write_text(text)
                files += 1
            elif kind == "sh":
                # The stand-in for what is not repeated here: see the end of the page.
                commands = re.sub(r"^script/bootstrap .*", ":", text, flags=re.MULTILINE)
                printed, environment = run(commands, arguments.root if section == "Build and install" else work, environment)
                ran.append(section)
            elif kind == "text":
                if not f"\n{printed}".endswith(f"\n{text}"):
                    raise SystemExit(f"{section}: the commands print\n{printed}\nwhich does not end with\n{text}")
                compared += 1
    if len(ran) < 8 or compared < 5 or files < 4:
        raise SystemExit(f"{len(ran)} blocks of commands, {files} files: is this test looking at the right text?")
    print(f"{len(ran)} blocks of commands in {len(set(ran))} sections, {files} files, {compared} outputs compared"
          + (f"; without {', '.join(sorted(left_out))}" if left_out else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
