"""`python -m initbench.init` lists all initializers; `python -m initbench.init NAME ...` describes some in full."""

from inspect import getdoc
from itertools import groupby

import yaml
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.command_line import Parser, run, typed_path
from initbench.console import console
from initbench.errors import unknown
from initbench.fitting import Fitting
from initbench.init.listing import Entry, entries
from initbench.init.scheme import options
from initbench.registry import CONF
from initbench.schema.target import load


def main(arguments: list[str]) -> None:
    """Print the list, or the config file and docstring of each name. Raises ValueError for an unknown name."""
    parser = Parser(
        prog="python -m initbench.init",
        description="List the initializers, or show the parameters and the documentation of some.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="an initializer, as in init=NAME")
    parser.add_argument("--config-dir", type=typed_path, metavar="FOLDER", help="your own config folder")
    asked = parser.parse_args(arguments)
    if asked.config_dir is not None and not (asked.config_dir / "init").is_dir():
        raise ValueError(f"--config-dir {asked.config_dir} has no folder init/")
    own = {} if asked.config_dir is None else {path.stem: path for path in asked.config_dir.glob("init/*.yaml")}
    if not asked.names:
        console.print(overview(entries()))
        if own:
            console.print(f"In {asked.config_dir / 'init'}: {', '.join(sorted(own))}", markup=False, soft_wrap=True)
        console.print("Details, parameters and docstring of one: python -m initbench.init NAME", style="dim")
    if unknown_names := [name for name in asked.names if name not in own and name not in options()]:
        raise unknown("initializer", unknown_names[0], [*own, *options()])
    for name in asked.names:
        path = own.get(name, CONF / "init" / f"{name}.yaml")
        console.print(f"[bold]{escape(str(path) if name in own else f'conf/init/{name}.yaml')}[/]")
        text = path.read_text("utf-8")
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        if "_target_" in (option := yaml.safe_load(text)):
            function = load("init", option["_target_"])
            console.print(f"[bold]{escape(option['_target_'])}[/]")
            console.print(getdoc(function) or "", markup=False, highlight=False, soft_wrap=True)


def overview(found: list[Entry]) -> Fitting:
    """One row per initializer, under the name of its family."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("initializer", min_width=max(len(entry.name) for entry in found) + 2)
    table.add_column("needs", ratio=2)
    table.add_column("acts on", ratio=3)
    table.add_column("source", ratio=4)
    for family, members in groupby(found, key=lambda entry: entry.family):
        table.add_row(f"[dim]{escape(family)}[/]")
        for entry in members:
            cells = (entry.needs, entry.acts_on, entry.source)
            table.add_row(f"  [bold]{escape(entry.name)}[/]", *map(escape, cells))
    return Fitting(table)


if __name__ == "__main__":
    run(main)
