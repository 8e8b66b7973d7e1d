# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part, and where: the peers' libraries, and what a contender is left out of."""
import dataclasses
import os
import pathlib

OPTIONS = ("tslab-huge", "tslab-background")   # tslab with another option: only when asked for by name
POOLS = ("unsynchronized", "synchronized", "monotonic-stack", "monotonic-heap")
DEBIAN_PEERS = {
    "jemalloc": ("libjemalloc.so.2",),
    "tcmalloc": ("libtcmalloc_minimal.so.4",),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc.so.3", "libmimalloc.so"),
}
FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    program: str            # what the bench program calls it
    preload: str = ""       # the library that brings its malloc
    general: bool = False   # a general-purpose peer: tslab is compared with the best of these


def find_library(names, folders=FOLDERS):
    """The first of the names found in the folders, or None."""
    for name in names:
        for folder in folders:
            path = pathlib.Path(folder, name)
            if path.is_file():
                return str(path)
    return None


def parse_peer(text):
    """"NAME=PATH" as (NAME, PATH). Raises ValueError."""
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise ValueError(f"--peer takes NAME=PATH, not \"{text}\"")
    if not all(c.isalnum() or c in "._-" for c in name):
        raise ValueError(f"--peer: a name consists of letters, digits, '.', '_' and '-', not \"{name}\"")
    return name, path


def all_contenders(peers, folders=FOLDERS):
    """Every contender that can run here, and a line for each one that cannot."""
    found = [Contender("tslab", "tslab"), Contender("glibc", "malloc", general=True)]
    missing = []
    for name, names in DEBIAN_PEERS.items():
        path = find_library(names, folders)
        if path is None:
            missing.append(f"{name} is left out: {' or '.join(names)} is not installed (script/bootstrap installs it)")
        else:
            found.append(Contender(name, "malloc", path, general=True))
    for name, path in peers:
        if any(c.name == name for c in found) or name in OPTIONS + POOLS:
            raise ValueError(f"--peer: there is a contender named {name} already")
        if os.path.isfile(path):
            found.append(Contender(name, "malloc", os.path.abspath(path), general=True))
        else:
            missing.append(f"{name} is left out: there is no file {path}")
    found += [Contender(name, name) for name in OPTIONS + POOLS]
    return found, missing


def why_not(contender, pattern):
    """Why a contender is left out of a pattern, or None."""
    if contender.name == "unsynchronized" and pattern["crossing"]:
        return "threads free each other's objects"
    if contender.name.startswith("monotonic") and not pattern["phases"]:
        return "nothing is ever given back outside of phases"
    return None
