"""What the benchmarks share: the rule of timing, a table for the terminal and for Markdown, and the machine.

The rule: whatever is compared takes turns, for at least three rounds, and in one process a first round warms up
(`take_turns`). Tables show the median and the range, and say "spread 31%" where the range is wider than a fifth of
the median (`Timing`). What is not measured as a whole is called extrapolated (`extrapolated`). The machine, the
versions, the date and the load average before and after belong to each table (`machine`, `report`).
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table as RichTable

from initbench.record.provenance import provenance

WIDE = 0.2  # of the median: a range that is said in the table
VERSIONS = ("python", "torch", "lightning", "hydra-core", "wandb", "initbench")
T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """What was measured several times, or a ratio of two such things."""

    median: float
    low: float
    high: float
    times: int  # how often
    is_extrapolated: bool = False

    @property
    def spread(self) -> float:
        return (self.high - self.low) / self.median

    def cell(self, form: str) -> str:
        """The median, as `form` says (".1f"); also the spread, where it is wide."""
        return f"{self.median:{form}}{self._warning()}"

    def range(self, form: str) -> str:
        if self.times == 1:
            return "one round"
        return f"{self.low:{form}} to {self.high:{form}}{self._warning()}"

    def _warning(self) -> str:
        return f", spread {100 * self.spread:.0f}%" if self.spread > WIDE else ""


def timing(values: Sequence[float]) -> Timing:
    return Timing(median(values), min(values), max(values), len(values))


def ratios(values: Sequence[float], others: Sequence[float]) -> Timing:
    """The ratio of one to the other, taken within each round, as a machine's speed drifts from round to round."""
    return timing([one / other for one, other in zip(values, others, strict=True)])


def extrapolated(processes: Sequence[tuple[float, Sequence[float]]], runs: int) -> Timing:
    """The seconds of a process that does `runs` runs, from processes that do fewer.

    Each of these is given as its own seconds and those of its runs but the first. Start-up and first run are what is
    left of the process; each further run is taken to last as long as the median run, or as the shortest and the
    longest for the ends of the range.
    """
    starts = [whole - sum(timed) for whole, timed in processes]
    each = [seconds for _, timed in processes for seconds in timed]
    ends = [of(starts) + (runs - 1) * of(each) for of in (median, min, max)]
    return Timing(*ends, times=len(each), is_extrapolated=True)


def take_turns(
    ways: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: int, title: str = "rounds"
) -> dict[str, list[T]]:
    """What each way returns, round by round; without that of the `warm_up` rounds before."""
    found: dict[str, list[T]] = {way: [] for way in ways}
    for number in track(range(rounds + warm_up), title, transient=True):
        for way, measure in ways.items():
            value = measure()
            if number >= warm_up:
                found[way].append(value)
    return found


def process(command: Sequence[str], **options: Any) -> tuple[float, str]:
    """The seconds that a command takes from start to end, and what it prints. Its failure ends the benchmark."""
    started = time.perf_counter()
    ended = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    seconds = time.perf_counter() - started
    if ended.returncode:
        sys.exit(f"{shlex.join(command)}\nended with exit code {ended.returncode}:\n{ended.stderr[-2000:]}")
    return seconds, ended.stdout


@dataclass
class Table:
    title: str
    columns: list[str]  # the first is words, the others are numbers
    rows: list[list[str]]

    def print(self) -> None:
        shown = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD)
        for place, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if place else "left")
        for row in self.rows:
            shown.add_row(*row)
        Console().print(shown)

    def markdown(self) -> str:
        head = ["| " + " | ".join(self.columns) + " |", "| --- |" + " ---: |" * (len(self.columns) - 1)]
        return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in self.rows)])


def machine() -> dict[str, Any]:
    """The machine and the versions that numbers are of, and the date."""
    found = provenance()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    sizes = [torch.cuda.get_device_properties(place).total_memory / 2**30 for place in range(count)]
    return {
        "date": date.today().isoformat(),
        "processor": found["processor"],
        "cores": found["cores"],
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "accelerators": [f"{name}, {size:.0f} GiB" for name, size in zip(found["accelerators"], sizes, strict=True)],
        "threads": found["threads"],
        "versions": {name: found["versions"][name] for name in VERSIONS if name in found["versions"]},
        "commit": found["git"] and found["git"]["commit"][:10],
    }


def in_words(machine: Mapping[str, Any]) -> str:
    """One line for the machine and the versions."""
    devices = "; ".join(machine["accelerators"]) or "no accelerator"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    hardware = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, {devices}"
    commit = f" (commit {machine['commit']})" if machine["commit"] else ""
    return f"{machine['date']}: {hardware}; {versions}{commit}"


def file_name(machine: Mapping[str, Any]) -> str:
    """Such as amd-epyc-2-cores-2026-11-26: the machine, and the date."""
    parts = [machine["processor"], f"{machine['cores']} cores", *machine["accelerators"][:1], machine["date"]]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def load() -> float:
    """How many processes want to run, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def load_in_words(before: float, after: float) -> str:
    return f"Load average: {before} before, {after} after."


def parser_of(documentation: str, rounds: int = 3) -> argparse.ArgumentParser:
    """What every benchmark can be asked."""
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, help="write all rounds and the machine to this file")
    return parser


def report(measure: Callable[[], T], table: Callable[[T], Table], path: Path | None) -> None:
    """Measure, print the table with the machine and its load, and write all of it to `path`."""
    before = load()
    results = measure()
    loads = [before, load()]
    table(results).print()
    print(in_words(machine()), load_in_words(*loads), sep="\n")
    if path:
        path.write_text(json.dumps({"machine": machine(), "load": loads, "results": results}, indent=1) + "\n")
