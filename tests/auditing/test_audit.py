"""An audit as a whole: in Python, as a command, and in other people's tests."""

import json
import sys
from pathlib import Path

import pytest
from forking import run
from torch import nn

import initbench

MINE = """
import torch
from torch import nn

class Forgetful(nn.Linear):
    def __init__(self):
        super().__init__(16, 10)
        self.scale = nn.Parameter(torch.empty(10))

    def forward(self, inputs):
        return super().forward(inputs) * self.scale

def sound():
    return nn.Linear(16, 10)

def batch():
    return torch.randn(8, 16), torch.arange(8)

def wide(width):
    return nn.Linear(width, width)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def command(folder: Path, *arguments: str) -> tuple[int, str, str]:
    ended = run(folder, [sys.executable, "-m", "initbench.audit", *arguments])
    return ended.returncode, ended.stdout, ended.stderr


def test_an_error_is_exit_code_one_and_nothing_is_zero(mine: Path) -> None:
    code, out, _ = command(mine, "mine:Forgetful", "--batch", "mine:batch", "--json")
    assert code == 1
    first = json.loads(out)["findings"][0]
    assert (first["severity"], first["check"], first["parameter"]) == ("error", "uninitialized memory", "scale")
    assert command(mine, "mine:sound", "--batch", "mine:batch") == (0, "Nothing was found.\n", "")


@pytest.mark.parametrize(
    "model, words",
    [
        ("mine", "'mine' must be MODULE:FUNCTION"),
        ("mine:soun", "mine has no function 'soun'. Did you mean 'sound'?"),
        ("yours:model", "yours cannot be imported: No module named 'yours'"),
        ("mine:wide", "wide() makes no model: TypeError: wide() missing 1 required positional argument: 'width'"),
        ("mine:batch", "batch() must make a torch.nn.Module, and made a tuple"),
    ],
)
def test_a_mistake_is_one_line(mine: Path, model: str, words: str) -> None:
    code, out, err = command(mine, model)
    assert (code, out) == (2, "")
    assert err.startswith(f"initbench: {words}")
    assert err.count("\n") == 1


def test_a_test_of_ones_own_lists_every_finding() -> None:
    initbench.assert_initialized(lambda: nn.Linear(16, 10))
    bad = nn.Linear(16, 10)
    nn.init.ones_(bad.weight)
    with pytest.raises(AssertionError, match=r"weight: units start alike: its 10 units"):
        initbench.assert_initialized(bad)


def test_findings_of_one_kind_are_one_row() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16))
    for layer in model:
        nn.init.constant_(layer.weight, 0.1)  # type: ignore[arg-type]  # each is a layer
    found = initbench.audit(model)
    assert "0.weight and 2 more" in " ".join(str(found).split())
    assert len(found.findings) >= 3
