"""`python -m initbench.init` lists all initializers; `python -m initbench.init NAME ...` describes some in full."""

import sys
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from initbench.init.listing import Entry, entries
from initbench.init.scheme import find, read_option
from initbench.registry import CONF


def main(names: list[str]) -> None:
    """Print the list, or the config file and docstring of each name. Raises ValueError for an unknown name."""
    console = Console()
    if not names:
        console.print(overview(entries()))
        console.print("Details, parameters and docstring of one: python -m initbench.init NAME", style="dim")
    for name in names:
        option = read_option(name)
        console.print(f"[bold]conf/init/{escape(name)}.yaml[/]")
        console.print((CONF / "init" / f"{name}.yaml").read_text(), markup=False, highlight=False, soft_wrap=True)
        if "_target_" in option:
            function = find(name).function
            console.print(f"[bold]{escape(option['_target_'])}[/]")
            console.print(function.__doc__ or "", markup=False, highlight=False, soft_wrap=True)


def overview(found: list[Entry]) -> Table:
    """One row per initializer, under the name of its family."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("initializer", no_wrap=True)
    table.add_column("needs", ratio=2)
    table.add_column("acts on", ratio=3)
    table.add_column("source", ratio=4)
    for family, members in groupby(found, key=lambda entry: entry.family):
        table.add_row(f"[dim]{family}[/]")
        for entry in members:
            cells = (entry.needs, entry.acts_on, entry.source)
            table.add_row(f"  [bold]{entry.name}[/]", *map(escape, cells))
    return table


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        print(f"initbench: {error}", file=sys.stderr)
        sys.exit(2)
