"""An audit as a whole: in Python, as a command, and in other people's tests."""

import importlib
import inspect
import json
import pkgutil
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from forking import run
from torch import nn

import initbench
from initbench import auditing
from initbench.auditing.audit import CHECKS
from initbench.auditing.draws import deaf_to_the_seed, made_once
from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.structure.parts import Parts
from initbench.model import GPT

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

def talks():
    print("made")
    return nn.Linear(16, 10)

def ends():
    raise SystemExit(0)

def nothing():
    return None

def narrow():
    return torch.randn(8, 15), torch.arange(8)

def three():
    return torch.randn(8, 16), torch.arange(8), torch.arange(8)

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
    code, out, err = command(mine, "mine:sound", "--batch", "mine:batch")
    assert (code, err) == (0, "")
    assert out.startswith("Nothing was found.\n\nNearest recipe: default, in 2 of 2 parameters.\n")


@pytest.mark.parametrize(
    "model, words",
    [
        ("mine", "'mine' must be MODULE:FUNCTION"),
        ("./mine.py:sound", "'./mine.py:sound' must be MODULE:FUNCTION"),
        ("mine:ends", "ends() makes no model: SystemExit"),
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


@pytest.mark.parametrize(
    "batch, words",
    [
        ("mine:sound", "a batch must be a tensor of inputs, or (inputs, targets), got a Linear"),
        ("mine:wide", "mine:wide makes no batch: TypeError: wide() missing 1 required positional argument: 'width'"),
        ("mine:nothing", "mine:nothing makes no batch: it returns nothing"),
        ("mine:ends", "mine:ends makes no batch: SystemExit"),
        ("mine:narrow", "an audit fails in this Linear: "),
        (
            "mine:three",
            "a batch must be a tensor of inputs, or (inputs, targets), got a tuple of Tensor, Tensor, Tensor",
        ),
    ],
)
def test_a_batch_that_does_not_fit_is_one_line(mine: Path, batch: str, words: str) -> None:
    code, _, err = command(mine, "mine:sound", "--batch", batch)
    assert code == 2
    assert err.startswith(f"initbench: {words}")
    assert err.count("\n") == 1


def test_what_no_time_is_left_for_is_said(mine: Path) -> None:
    code, out, _ = command(mine, "mine:Forgetful", "--seconds", "1e-9", "--json")
    (found,) = json.loads(out)["findings"]
    assert (code, found["check"]) == (0, "not looked at")
    assert "before uninitialized, " in found["reason"]
    assert found["reason"].endswith(", the recipes")
    code, _, err = command(mine, "mine:sound", "--seconds", "0")
    assert (code, "must be a number of seconds above 0, got 0" in err) == (2, True)


def test_a_recipe_and_where_the_model_departs_from_it() -> None:
    model = initbench.initialize(GPT(vocab_size=50, context_length=16, depth=3, width=32, heads=4), "gpt2", seed=0)
    with torch.no_grad():
        model.get_parameter(Parts(model).positions[0].name).mul_(0.5)
    found = initbench.audit(model)
    assert found.recipe is not None
    assert (found.recipe.recipe, [each.role for each in found.recipe.departures]) == ("gpt2", ["position"])
    assert "Nearest recipe: gpt2" in str(found)
    assert json.loads(found.to_json())["recipe"]["departures"][0]["theirs"].startswith("normal 0.02")


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


def test_the_generators_stay_as_they_are() -> None:
    class Draws(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs) + random.random() + torch.randn(())

    before = random.getstate(), torch.get_rng_state()
    initbench.audit(lambda: Draws(16, 10), torch.ones(2, 16))
    assert random.getstate() == before[0]
    assert torch.get_rng_state().equal(before[1])


def test_what_a_model_prints_is_not_among_the_findings(mine: Path) -> None:
    _, out, err = command(mine, "mine:talks", "--json")
    assert json.loads(out)["findings"] == []
    assert "made" in err


def test_every_check_is_part_of_an_audit() -> None:
    """In the package, what takes a subject and yields findings."""
    found = set()
    for _, name, _ in pkgutil.iter_modules(auditing.__path__):
        module = importlib.import_module(f"initbench.auditing.{name}")
        for own, function in vars(module).items():
            if not own.startswith("_") and inspect.isfunction(function) and function.__module__ == module.__name__:
                types = list(get_type_hints(function).values())
                if types == [Subject, Iterator[Finding]]:
                    found.add(own)
    assert len(found) > 15
    assert sorted(check.__name__ for check in CHECKS) == sorted(found)
    assert CHECKS.index(made_once) > CHECKS.index(deaf_to_the_seed)


def test_the_most_severe_come_first_and_names_are_shown_as_they_are() -> None:
    order = ["note", "warning", "error", "note"]
    found = initbench.auditing.audit.Audit([Finding(each, "a check", f"[b]{each}", "why", "how") for each in order])  # type: ignore[arg-type]  # severities
    assert [each.severity for each in found.findings] == ["error", "warning", "note", "note"]
    assert [each.parameter for each in found.errors] == ["[b]error"]
    assert "[b]warning" in str(found)
    assert "[b]note and 1 more" in str(found)
    assert "1 error, 1 warning, 2 notes" in str(found)


def test_a_test_of_ones_own_says_what_is_wrong_with_the_model_as_a_whole() -> None:
    model = nn.Linear(16, 10)
    nn.init.constant_(model.bias[:1].data, 50.0)
    batch = torch.randn(8, 16, generator=torch.Generator().manual_seed(0)), torch.arange(8) + 1
    with pytest.raises(AssertionError, match="\nthe model: first loss: the loss is "):
        initbench.assert_initialized(model, batch)


def test_a_note_does_not_fail_a_test_of_ones_own() -> None:
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, std=1e-4, generator=torch.Generator().manual_seed(0))
    assert [found.severity for found in initbench.audit(layer).findings] == ["note"]
    initbench.assert_initialized(layer)
