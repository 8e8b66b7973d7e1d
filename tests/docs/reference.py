#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the reference with script/reference, and checks that it has the public types, their members and the C functions, with their
docstrings, and none of the internal types."""
import argparse
import html
import pathlib
import re
import shutil
import subprocess
import sys


def text_of(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    shutil.rmtree(args.output, ignore_errors=True)
    subprocess.run([args.script, "--output", args.output], check=True)
    pages = args.output / "html"
    problems = []
    for page, words in (
            ("classtslab_1_1allocator.html", ["advance", "close", "Closes e. Effects: e turns CLOSING", "Complexity: linear in the slabs of e"]),
            ("classtslab_1_1epoch__resource.html", ["release", "A memory resource bound to one epoch. Equal only to itself."]),
            ("classtslab_1_1epoch__scope.html", ["resource"]),
            ("structtslab_1_1allocator__options.html", ["epoch_count", "slots of the ring, 2 to 65,536"]),
            ("structtslab__close__report.html", ["recycled_slabs", "giving memory to the kernel"]),
            ("heap_8h.html", ["tslab_malloc", "Frees memory of this heap, however it was allocated", "tslab_heap_create"])):
        if not (pages / page).exists():
            problems.append(f"there is no {page}")
            continue
        text = text_of(pages / page)
        problems += [f"{page} does not have: {word}" for word in words if word not in text]
    problems += [f"{page.name} is of an internal type" for page in pages.glob("*thread__cache*.html") if page.name.startswith(("class", "struct"))]
    print("\n".join(problems) or f"{len(list(pages.glob('*.html')))} pages")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
