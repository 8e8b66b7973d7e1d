# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""A row of the table: what was found, and what it is held against."""
import dataclasses

UNITS = {"": "", "ratio": "", "MiB": " MiB", "KiB": " KiB", "ns": " ns", "s": " s"}


@dataclasses.dataclass
class Row:
    area: str
    what: str
    found: float | None = None   # None: not measured, and `note` says why
    bar: float | None = None     # None: there is none
    unit: str = ""
    least: bool = False          # the figure must reach the bar, instead of staying below it
    note: str = ""
    failed: bool = False         # its program failed or took too long

    @property
    def met(self):
        """None if it was not measured or has no bar."""
        if self.failed:
            return False
        if self.found is None or self.bar is None:
            return None
        return self.found >= self.bar if self.least else self.found <= self.bar

    @property
    def verdict(self):
        if self.failed:
            return "FAILED"
        if self.found is None:
            return "not measured"
        return {True: "met", False: "NOT MET", None: "-"}[self.met]


def figure(value, unit):
    if value is None:
        return "-"
    size = abs(value)
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.4g}" if size and size < 0.01 else f"{value:.3g}"
    return text + UNITS[unit]


def bar_text(row):
    if row.bar is None:
        return "-"
    return f"{'>=' if row.least else '<='} {figure(row.bar, row.unit)}"


HEADER = ["area", "what is measured", "found", "bar", "met", "note"]


def cells(row):
    return [row.area, row.what, figure(row.found, row.unit), bar_text(row), row.verdict, row.note]


def as_text(rows):
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    right = {2, 3}
    return "\n".join("  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def as_markdown(rows):
    lines = [HEADER, ["---", "---", "---:", "---:", "---", "---"], *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def summary(rows):
    met = sum(row.met is True for row in rows)
    missed = sum(row.met is False for row in rows)
    return f"{met} bars met, {missed} not met, {sum(row.verdict == 'not measured' for row in rows)} rows not measured"


def exit_code(rows):
    """Of --check. Nothing measured is not enough."""
    return 1 if any(row.met is False for row in rows) or all(row.found is None for row in rows) else 0
