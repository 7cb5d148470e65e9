"""The list of initializers is complete, and says of each what it needs."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from programs import run

from initbench.init import options
from initbench.init.listing import documented, entries


def test_every_option_is_listed_with_what_it_acts_on_and_its_source() -> None:
    found = {entry.name: entry for entry in entries()}
    assert sorted(found) == options()
    for entry in found.values():
        assert entry.acts_on, entry.name
        assert entry.source or entry.name == "per_layer", entry.name


@pytest.mark.parametrize(
    "name, kind, family, needs",
    [
        ("kaiming_normal", "scheme", "variance", ""),
        ("irnn", "rules", "rules", ""),
        ("lsuv", "method", "lsuv", "a batch"),
        ("gradinit", "method", "gradinit", "a batch, a loss"),
        ("fixup", "method", "fixup", "residual branches"),
        ("chrono", "method", "chrono", "recurrent layers"),
    ],
)
def test_needs_are_what_the_function_asks_for(name: str, kind: str, family: str, needs: str) -> None:
    (entry,) = [entry for entry in entries() if entry.name == name]
    assert (entry.kind, entry.family, entry.needs) == (kind, family, needs)


def test_schemes_stand_before_methods_and_families_together() -> None:
    listed = entries()
    kinds = [entry.kind for entry in listed]
    assert kinds == sorted(kinds, key=("scheme", "rules", "method").index)
    families = [entry.family for entry in listed]
    assert len([a for a, b in pairwise(families) if a != b]) == len(set(families)) - 1


def test_wrapped_lines_of_a_docstring_are_one_entry() -> None:
    def function() -> None:
        """Does it.

        Source: A & B 2016, eq. 3;
            C 2017.
        Acts on: weights that
            are matrices.
        """

    assert documented(function) == ("A & B 2016, eq. 3; C 2017", "weights that are matrices")
    assert documented(lambda: None) == ("", "")


def shown_by(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, [sys.executable, "-m", "initbench.init", *arguments])


def test_the_command_lists_all_and_shows_one(tmp_path: Path) -> None:
    listing = shown_by(tmp_path)
    assert listing.returncode == 0
    assert all(f"  {name} " in listing.stdout for name in options())
    shown = shown_by(tmp_path, "lsuv").stdout
    assert "max_tries: 10" in shown
    assert "Source: Mishkin & Matas 2016" in shown
    mistaken = shown_by(tmp_path, "orthogonl")
    assert mistaken.returncode == 2
    assert "Did you mean 'orthogonal'?" in mistaken.stderr
    assert "Traceback" not in mistaken.stderr
