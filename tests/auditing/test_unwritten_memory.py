"""Memory that nobody wrote is found, wherever it is, and the model that is audited stays as it is."""

import re
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from initbench.auditing.draws import made_once
from initbench.auditing.memory import not_reset, uninitialized
from initbench.auditing.subject import Subject, poisoned_memory


class Forgetful(nn.Module):
    """Its scale is never set, half of its bias is, and its table is no part of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.empty(3))
        self.bias = nn.Parameter(torch.empty(4))
        nn.init.zeros_(self.bias[:2])
        self.register_buffer("places", torch.empty(5, dtype=torch.long))
        self.register_buffer("table", torch.empty(2), persistent=False)


def test_what_nobody_wrote_is_an_error() -> None:
    found = {finding.parameter: finding for finding in uninitialized(Subject(Forgetful))}
    assert set(found) == {"scale", "bias", "places"}
    assert {finding.severity for finding in found.values()} == {"error"}
    assert found["bias"].reason == "2 of 4 elements keep whatever was in memory before"


def test_afterwards_memory_is_as_it_was() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    list(uninitialized(Subject(Forgetful)))
    assert torch.are_deterministic_algorithms_enabled() == before[0]
    assert torch.get_rng_state().equal(before[1])


@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 4), lambda: nn.LSTM(3, 4), lambda: nn.BatchNorm2d(3)])
def test_torchs_own_layers_are_written(make: object) -> None:
    assert list(uninitialized(Subject(make))) == []


def test_of_a_model_that_cannot_be_made_again_nothing_is_known() -> None:
    assert list(uninitialized(Subject(Forgetful()))) == []


def needs_an_argument(width: int) -> nn.Module:
    return nn.Linear(width, width)


@pytest.mark.parametrize(
    "make, words",
    [
        (needs_an_argument, r"needs_an_argument\(\) makes no model: TypeError: .*'width'"),
        (dict, r"dict\(\) must make a torch.nn.Module, and made a dict"),
        (nn.ReLU, "ReLU has no parameters"),
    ],
)
def test_what_makes_no_model_is_refused(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Subject(make)  # type: ignore[arg-type]  # that is what is wrong


class Rotary(nn.Module):
    """Its table is computed where it is made, and is no part of a checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("table", torch.arange(4.0), persistent=False)


class Resets(Rotary):
    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale)
        self.table.copy_(torch.arange(4.0))  # type: ignore[operator]  # a buffer


def test_what_to_empty_leaves_empty_is_noted() -> None:
    found = list(not_reset(Subject(Rotary)))
    assert [(finding.severity, finding.parameter) for finding in found] == [("note", "scale"), ("note", "table")]
    assert list(not_reset(Subject(Resets))) == []
    assert list(not_reset(Subject(nn.BatchNorm2d(3)))) == []


def test_a_model_that_computes_with_its_weights_is_left_alone() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(4, 4)
        layer.norm = float(layer.weight.detach().norm())  # type: ignore[assignment]  # of one's own
        return layer

    assert list(not_reset(Subject(make))) == []


def test_a_model_that_can_be_made_only_once_is_said() -> None:
    names: set[str] = set()

    def registered() -> nn.Module:
        if "mine" in names:
            raise KeyError("mine is registered already")
        names.add("mine")
        return nn.Linear(4, 4)

    one = nn.Linear(4, 4)
    for make, why in ((registered, "KeyError: .*registered already"), (lambda: one, "returns the same model")):
        subject = Subject(make)
        assert list(uninitialized(subject)) == []
        (found,) = made_once(subject)
        assert found.severity == "note"
        assert re.search(why, found.reason)


@pytest.mark.parametrize(
    "value",
    [
        torch.tril(torch.ones(8, 8, dtype=torch.bool)),
        torch.full((3,), 255, dtype=torch.uint8),
        torch.tensor(torch.iinfo(torch.int64).max),
        torch.full((4,), torch.nan),
    ],
)
def test_a_value_that_is_meant_is_no_poison(value: torch.Tensor) -> None:
    def make() -> nn.Module:
        layer = nn.Linear(4, 4)
        layer.register_buffer("kept", value.clone())
        return layer

    assert list(uninitialized(Subject(make))) == []


def test_a_part_that_is_the_same_each_time_is_said_and_left_alone() -> None:
    part = nn.Linear(16, 16)
    before = part.weight.detach().clone()
    subject = Subject(lambda: nn.Sequential(part, nn.Linear(16, 10)))
    assert list(uninitialized(subject)) == list(not_reset(subject)) == []
    (found,) = made_once(subject)
    assert "parts of it are the same each time" in found.reason
    assert part.weight.equal(before)


def test_a_model_that_reads_memory_which_nobody_wrote_is_found() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(4, 4)
        layer.places = torch.zeros(4)[torch.empty(3, dtype=torch.long).clamp(max=5) * 0 + _worst()]
        return layer

    def _worst() -> int:
        return int(torch.empty(1).isnan()) * 9

    subject = Subject(make)
    (found,) = uninitialized(subject)
    assert (found.severity, subject.only_once) == ("warning", "")
    assert "cannot be made over memory that is full of NaN" in found.reason


def test_a_function_that_ends_the_program_makes_no_model() -> None:
    with pytest.raises(ValueError, match=r"<lambda>\(\) makes no model: SystemExit"):
        Subject(lambda: sys.exit(0))


class Follows(nn.Module):
    """It is set by what its part was set to, so it has to be reset after it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.twice = nn.Linear(4, 4), nn.Parameter(torch.zeros(4, 4))

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.twice.copy_(2 * self.linear.weight)


class Begins(nn.Module):
    """It resets itself by a method of another name."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def init_weights(self) -> None:
        nn.init.ones_(self.scale)


class Means(nn.Module):
    """Its buffer is meant to be what poisoned memory is full of."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("mask", torch.full((3,), torch.nan))


class Elsewhere(Rotary):
    """A part of it is always made on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("here", torch.zeros(3, device="cpu"))


@pytest.mark.parametrize("make", [Follows, Begins, Means, Elsewhere, lambda: nn.MultiheadAttention(8, 2, bias=False)])
def test_what_resets_itself_or_is_made_elsewhere_is_not_noted(make: Callable[[], nn.Module]) -> None:
    assert list(not_reset(Subject(make))) == []


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64, torch.int32])
def test_memory_of_any_kind_is_seen(dtype: torch.dtype) -> None:
    def make() -> nn.Module:
        layer = nn.Linear(4, 4)
        layer.register_buffer("kept", torch.empty(5, dtype=dtype))
        return layer

    (found,) = uninitialized(Subject(make))
    assert (found.parameter, found.reason[:15]) == ("kept", "5 of 5 elements")


@pytest.mark.parametrize("mode", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("fills", [False, True])
def test_torchs_settings_are_as_they_were_after_memory_was_poisoned(mode: tuple[bool, bool], fills: bool) -> None:
    def settings() -> tuple[tuple[bool, bool], bool]:
        only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        return (
            (torch.are_deterministic_algorithms_enabled(), only_warns),
            torch.utils.deterministic.fill_uninitialized_memory,
        )

    (is_on, warns), filled = settings()
    try:
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
        torch.utils.deterministic.fill_uninitialized_memory = fills
        before = settings()
        with poisoned_memory():
            assert torch.empty(1).isnan().all()
        assert settings() == before
    finally:
        torch.use_deterministic_algorithms(is_on, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled


def test_a_buffer_that_is_the_same_each_time_is_a_part_too() -> None:
    table = torch.arange(4.0)

    def make() -> nn.Module:
        layer = nn.Linear(4, 4)
        layer.register_buffer("table", table)
        return layer

    subject = Subject(make)
    assert subject.remade() is None
    assert subject.only_once == "parts of it are the same each time"


def test_a_wrapped_model_is_looked_at_without_its_wrapper() -> None:
    for of in (nn.DataParallel(nn.Linear(3, 4)), lambda: nn.DataParallel(nn.Linear(3, 4))):
        assert [found.name for found in Subject(of).parameters] == ["weight", "bias"]
        assert type(Subject(of).model) is nn.Linear
    again = Subject(lambda: nn.DataParallel(nn.Linear(3, 4))).remade()
    assert type(again) is nn.Linear


def test_a_batch_may_be_inputs_alone_in_a_tuple_or_a_list_of_two() -> None:
    inputs, targets = torch.randn(2, 3), torch.arange(2)
    for batch, has_targets in ((inputs, False), ((inputs,), False), ([inputs, targets], True)):
        subject = Subject(nn.Linear(3, 4), batch)  # type: ignore[arg-type]  # a list does as well
        assert subject.inputs is inputs
        assert subject.targets is (targets if has_targets else None)
        assert subject.parts.inputs is inputs


def test_parameters_without_memory_are_refused() -> None:
    with pytest.raises(ValueError, match="weight is lazy and has no shape yet"):
        Subject(nn.LazyLinear(3))


def test_making_a_model_leaves_the_generators_as_they_are() -> None:
    before = torch.get_rng_state()
    Subject(lambda: nn.Linear(3, 4)).remade(seed=1)
    assert torch.get_rng_state().equal(before)
