"""What the benchmarks share: a table for the terminal and for Markdown, and the machine that the numbers are of."""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from initbench.record.provenance import provenance


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


def provenance_line() -> str:
    """The machine and the versions, in one line."""
    machine = provenance()
    versions = ", ".join(
        f"{name} {machine['versions'][name]}" for name in ("python", "torch", "lightning", "hydra-core")
    )
    devices = ", ".join(machine["accelerators"]) or "no accelerator"
    return f"{machine['processor']}, {os.cpu_count()} cores, {devices}; {versions}"


def save(path: Path, results: Any) -> None:
    machine = {
        key: value for key, value in provenance().items() if key in ("versions", "processor", "cores", "threads")
    }
    path.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


def parser_of(documentation: str, rounds: int) -> argparse.ArgumentParser:
    """What every benchmark can be asked."""
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, help="write all rounds and the machine to this file")
    return parser


def show(table: Table, results: Any, path: Path | None) -> None:
    table.print()
    print(provenance_line())
    if path:
        save(path, results)
