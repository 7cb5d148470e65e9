"""From a dotted name to a call that fits the signature."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge

from initbench.schema import target
from initbench.schema.allowed import words
from initbench.schema.ranges import HalfOpenFraction, OpenFraction, PositiveFloat, PositiveInt


def made(
    given: object = None,
    *,
    size: PositiveInt = 1,
    rate: HalfOpenFraction = 0,
    name: str = "a",
    kind: Literal["one", "two"] | None = None,
    sides: tuple[int, int] = (1, 1),
    widths: Sequence[PositiveInt] | PositiveInt = 1,
    flag: bool = False,
    odd: "no_such_type" = None,  # type: ignore[name-defined]  # noqa: F821 - as users write them
) -> dict[str, Any]:
    return locals()


def annotated(*, size: PositiveInt = 1, rate: float = 0, sides: tuple[int, int] = (1, 1), optional: int = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013 - as people write it
    return size, rate, sides, optional


def windows(*, kernels: tuple[tuple[int, int], ...] = ((3, 3),)) -> Any:
    return kernels


class Model:
    def __init__(self, width: PositiveInt, **options: Any) -> None:
        self.width, self.options = width, options


def bare(a, b=2):  # type: ignore[no-untyped-def]  # as users write them
    if a == "raise":
        raise TypeError("not so")
    if a == "key":
        raise KeyError("lost")
    if a == "value":
        raise ValueError("not so\neither")
    return a, b


async def later(a: int = 0) -> int:
    return a


def each(a: int = 0) -> Iterator[int]:
    yield a


async def each_later(a: int = 0) -> AsyncIterator[int]:
    yield a


class CalledLater:
    async def __call__(self, a: int = 0) -> int:
        return a


called_later = CalledLater()
partly_later = partial(later, a=1)


def node(function: Any, **keys: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.{function.__qualname__}", "name": "label", **keys}


def test_a_call_gets_the_keys_and_what_is_given() -> None:
    assert target.call("model", node(bare, b=3), 1) == (1, 3)
    assert target.call("model", node(bare, b=3), a=1) == (1, 3)
    model = target.call("model", node(Model, width=2, more=[1]))
    assert (model.width, model.options) == (2, {"more": [1]})


def test_types_are_strict_but_for_what_yaml_cannot_say() -> None:
    size, rate, sides, optional = target.call("x", node(annotated, rate=1, sides=[2, 3], optional=None))
    assert (size, rate, sides, optional) == (1, 1, [2, 3], None)


def test_lists_in_lists_are_tuples_in_tuples() -> None:
    assert target.call("model", node(windows, kernels=[[3, 3], [1, 5]])) == [[3, 3], [1, 5]]
    with pytest.raises(ValueError, match=r"^model\.kernels must be a list of lists of 2 whole numbers, got"):
        target.call("model", node(windows, kernels=[[3, 3], [1]]))


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"size": 0}, "x.size must be a whole number of at least 1, got 0"),
        ({"size": 1.0}, "x.size must be a whole number of at least 1, got 1.0"),
        ({"size": True}, "x.size must be a whole number of at least 1, got True"),
        ({"rate": "1"}, "x.rate must be a number, got '1'"),
        ({"rate": True}, "x.rate must be a number, got True"),
        ({"sides": [1]}, "x.sides must be a list of 2 whole numbers, got [1]"),
        ({"sise": 1}, "unknown key x.sise. Did you mean 'size'? annotated takes: size, rate, sides, optional"),
    ],
)
def test_what_an_annotation_does_not_allow_is_one_line(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        target.call("x", node(annotated, **keys))


def test_an_annotation_that_cannot_be_evaluated_is_left_alone_and_the_others_count() -> None:
    assert target.call("x", node(made, odd="any"))["odd"] == "any"
    with pytest.raises(ValueError, match=r"unknown x\.kind 'onne'\. Did you mean 'one'\? Allowed: one, two"):
        target.call("x", node(made, kind="onne"))


@pytest.mark.parametrize(
    "config, given, said",
    [
        (node(bare), {}, "x.a is missing: bare has no default for it"),
        (node(bare, a=1), {"c": 3}, "bare does not take c, which is given to every x"),
        (node(bare, a="raise"), {}, f"x {__name__}.bare: not so"),
        (node(bare, a="key"), {}, f"x {__name__}.bare: KeyError: 'lost'"),
        (node(bare, a="value"), {}, f"x {__name__}.bare: not so"),
        (
            node(later),
            {},
            f"x._target_='{__name__}.later' is a coroutine function, which does nothing when it is called",
        ),
        (node(each), {}, f"x._target_='{__name__}.each' is a generator function"),
        (node(each_later), {}, f"x._target_='{__name__}.each_later' is an async generator function"),
        ({"_target_": f"{__name__}.called_later"}, {}, f"x._target_='{__name__}.called_later' is a coroutine function"),
        ({"_target_": f"{__name__}.partly_later"}, {}, f"x._target_='{__name__}.partly_later' is a coroutine function"),
        (node(Model, width=2, data=1), {"data": 2}, "unknown key x.data. Model takes: width"),
        ({"_target_": f"{__name__}.bear"}, {}, f"x._target_='{__name__}.bear' cannot be imported: "),
        ({"_target_": "no.such.module"}, {}, "x._target_='no.such.module' cannot be imported: No module named 'no'"),
        ({"_target_": "math.pi"}, {}, "x._target_='math.pi' is a float, not a function or class"),
        ({"_target_": ["math.sin"]}, {}, "x._target_ must be the dotted name of a function or class, got ['math.sin']"),
        ({}, {}, "x._target_ must be the dotted name of a function or class, got None"),
        (node(bare, a=1, _partial_=True), {}, "unknown key x._partial_. bare takes: a, b"),
    ],
)
def test_what_cannot_be_called_is_one_line(config: dict[str, Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        target.call("x", config, **given)


@pytest.mark.parametrize("name", ["os.system", "subprocess.run", "builtins.eval", "logging.os.system", "posix.system"])
def test_a_config_may_not_run_a_process_under_any_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"a config may not call (os|subprocess|builtins|posix)$"):
        target.load("model", name)


def test_the_environment_may_allow_some_packages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITBENCH_TARGETS", "initbench, torch.optim")
    assert target.load("data", "initbench.data.mnist_mini")
    assert target.load("optimizer", "torch.optim.SGD")
    for name, reason in (
        ("torch.nn.Linear", ""),
        ("initbench.schema.target.pkgutil.resolve_name", ", which is of pkgutil"),
    ):
        with pytest.raises(ValueError, match=rf"_target_='{name}'{reason}"):
            target.load("model", name)


def test_a_package_is_allowed_by_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITBENCH_TARGETS", "torch,torchvision.models.resnet")
    assert target.load("model", "torch.nn.Linear")
    assert target.load("model", "torchvision.models.resnet.resnet18")
    for name in ("torchvision.models.vgg11", "torchvision.models"):
        with pytest.raises(ValueError, match=f"_target_='{name}'.*INITBENCH_TARGETS allows only torch, torchvision"):
            target.load("model", name)


@pytest.mark.parametrize("listed", ["", " ", ","])
def test_an_empty_list_of_packages_allows_none(monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
    monkeypatch.setenv("INITBENCH_TARGETS", listed)
    with pytest.raises(ValueError, match=r"INITBENCH_TARGETS is empty and allows nothing; unset it to allow all"):
        target.load("data", "initbench.data.mnist_mini")


@pytest.mark.parametrize(
    "annotation, said",
    [
        (int, "a whole number"),
        (PositiveFloat | None, "a number above 0 or null"),
        (OpenFraction, "a number in (0, 1)"),
        (int | Sequence[Annotated[int, Ge(0)]], "a whole number or a list of whole numbers of at least 0"),
        (Literal["auto"] | bool, "auto, true or false"),
        (dict[str, Any] | None, "a mapping or null"),
        (object, ""),
        (Any, ""),
    ],
)  # fmt: skip  # several values to a line
def test_what_is_allowed_in_words(annotation: Any, said: str) -> None:
    assert words(annotation) == said
