# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part, and where: the peers' libraries, and what a contender is left out of."""
import dataclasses
import glob
import os
import pathlib
import re

OPTIONS = ("tslab-huge", "tslab-background")   # tslab with another option: only when asked for by name
POOLS = ("unsynchronized", "synchronized", "monotonic-stack", "monotonic-heap")
DEBIAN_PEERS = {
    "jemalloc": ("libjemalloc.so.2",),
    "tcmalloc": ("libtcmalloc_minimal.so.4",),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc.so.3", "libmimalloc.so"),
}
SCUDO = "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so"
FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    program: str            # what the bench program calls it
    preload: str = ""       # the library that brings its malloc
    general: bool = False   # a general-purpose peer that does not check what is freed: tslab is compared with the best of these,
    checks: bool = False    # and with the best of those that do, as tslab does


def find_library(names, folders=FOLDERS):
    """The first of the names found in the folders, or None."""
    for name in names:
        for folder in folders:
            path = pathlib.Path(folder, name)
            if path.is_file():
                return str(path)
    return None


def find_scudo(where=SCUDO):
    """The library of the newest LLVM that has one, or None."""
    found = glob.glob(where)
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path)]) if found else None


def parse_peer(text):
    """"NAME=PATH" as (NAME, PATH). Raises ValueError."""
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise ValueError(f"takes NAME=PATH, not \"{text}\"")
    if not all(c.isalnum() or c in "._-" for c in name):
        raise ValueError(f"a name consists of letters, digits, '.', '_' and '-', not \"{name}\"")
    return name, path


def all_contenders(peers, folders=FOLDERS, protected=None, scudo=SCUDO):
    """Every contender that can run here, and a line for each one that cannot. `protected`: the peers given that check what is freed;
    None leaves those out, scudo too."""
    found = [Contender("tslab", "tslab"), Contender("glibc", "malloc", general=True)]
    missing = []
    for name, names in DEBIAN_PEERS.items():
        path = find_library(names, folders)
        if path is None:
            missing.append(f"{name} is left out: {' or '.join(names)} is not installed (script/bootstrap installs it)")
        else:
            found.append(Contender(name, "malloc", path, general=True))
    if protected is not None:
        path = find_scudo(scudo)
        if path is None:
            missing.append("scudo is left out: it is not installed (Debian: libclang-rt-19-dev)")
        else:
            found.append(Contender("scudo", "malloc", path, checks=True))
    for name, path, checks in [(*peer, False) for peer in peers] + [(*peer, True) for peer in protected or ()]:
        if any(c.name == name for c in found) or name in OPTIONS + POOLS:
            raise ValueError(f"{'--protected-peer' if checks else '--peer'}: there is a contender named {name} already")
        if os.path.isfile(path):
            found.append(Contender(name, "malloc", os.path.abspath(path), general=not checks, checks=checks))
        else:
            missing.append(f"{name} is left out: there is no file {path}")
    found += [Contender(name, name) for name in OPTIONS + POOLS]
    return found, missing


def why_not(contender, pattern):
    """Why a contender is left out of a pattern, or None."""
    if contender.name == "unsynchronized" and pattern["crossing"]:
        return "threads free each other's objects"
    if pattern["name"] == "scope_empty" and contender.program in ("malloc", "unsynchronized", "synchronized"):
        return "it has no scopes"
    if contender.name.startswith("monotonic") and not pattern["phases"]:
        return "nothing is ever given back outside of phases"
    return None
