# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Where and with what it was measured."""
import datetime
import os
import pathlib
import platform
import re
import subprocess
import time


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def compiler(build):
    try:
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ""
    found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", text, re.MULTILINE)
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", text, re.MULTILINE)
    version = output_of(found.group(1), "--version").splitlines() if found else []
    return ", ".join(part for part in (version[0] if version else "", kind.group(1) if kind else "") if part)


def source_version(path):
    """The version of the sources that a library was built from, if they are there: those of the CMake build that it is in.
    "" if there are none."""
    for folder in list(pathlib.Path(path).parents)[:3]:
        try:
            cache = (folder / "CMakeCache.txt").read_text(encoding="utf-8")
        except OSError:
            continue
        found = re.search(r"^CMAKE_HOME_DIRECTORY:\w+=(.*)$", cache, re.MULTILINE)
        if found:
            return output_of("git", "-C", found.group(1), "describe", "--tags", "--always", "--dirty")
    return ""


def library(path):
    """The package that a file is from, with its version; else the file's name, and the version of its sources."""
    real = os.path.realpath(path)
    for candidate in (real, real.removeprefix("/usr")):
        package = output_of("dpkg-query", "-S", candidate).partition(": ")[0]
        if package:
            return output_of("dpkg-query", "-W", "-f", "${Package} ${Version}", package)
    return " ".join(part for part in (os.path.basename(real), source_version(real)) if part)


def busy_seconds():
    """Processor time that the whole machine has spent working, and what of it was stolen by its host; None if not known."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _, _, interrupts, soft, stolen = fields
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


class Others:
    """How much of the processors others had while this and its children measured."""

    def __init__(self):
        self.start = self.now()

    @staticmethod
    def now():
        return time.monotonic(), busy_seconds(), sum(os.times()[:4])

    def share(self):
        (wall, busy, own), (wall_before, busy_before, own_before) = self.now(), self.start
        if busy is None or busy_before is None or wall <= wall_before:
            return None
        return max(busy - busy_before - (own - own_before), 0) / ((wall - wall_before) * (os.cpu_count() or 1))


def describe(everyone, chosen, arguments, others, command="script/bench"):
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "compiler": compiler(chosen.build),
        "commit": output_of("git", "describe", "--always", "--dirty"),
        "libraries": {"glibc": " ".join(platform.libc_ver()),
                      **{c.name: library(c.preload) for c in everyone if c.preload}},
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join([command, *arguments]),
        "others": others,   # their share of the processors meanwhile
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
    }


def as_text(about):
    libraries = ", ".join(f"{name}: {version}" for name, version in about["libraries"].items())
    return (f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}; {about['compiler']}; {libraries}; "
            f"tslab {about['commit']}; {about['date']}; {about['command']}; "
            f"{about['rounds']} rounds of {about['seconds']} s"
            + ("" if about["others"] is None else f"; other processes had {about['others'] * 100:.0f} % of the processors"))
