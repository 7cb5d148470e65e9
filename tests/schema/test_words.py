"""What annotations allow, in words, and the one line for what they do not allow."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pytest
from annotated_types import Gt, Le, Len, Lt, MinLen
from pydantic import Field

from initbench.schema import target
from initbench.schema.allowed import choices, is_list, refusal, values_of, words
from initbench.schema.ranges import Fraction, HalfOpenFraction, NonNegativeInt, PositiveFloat, PositiveInt, Threads


@pytest.mark.parametrize(
    "annotation, said",
    [
        (float, "a number"),
        (str, "text"),
        (bool, "true or false"),
        (None, ""),
        (Optional[int], "a whole number or null"),  # noqa: UP045 - as others write it
        (int | None, "a whole number or null"),
        (Annotated[int, Le(3)], "a whole number of at most 3"),
        (Annotated[float, Lt(0.5)], "a number below 0.5"),
        (Annotated[float, Gt(0.25)], "a number above 0.25"),
        (Annotated[int, Field(ge=1, lt=4)], "a whole number in [1, 4)"),
        (Threads, "a whole number in [1, 1024]"),
        (Fraction, "a number in [0, 1]"),
        (HalfOpenFraction, "a number in [0, 1)"),
        (Annotated[float, Gt(0), Le(1e50)], "a number in (0, 1e+50]"),
        (Annotated[str, MinLen(1)], "text that is not empty"),
        (list, "a list"),
        (list[str], "a list of texts"),
        (list[bool], "a list of true or false"),
        (list[list[int]], "a list of lists of whole numbers"),
        (list[dict[str, Any]], "a list of mappings"),
        (tuple[int, int], "a list of 2 whole numbers"),
        (tuple[float, float, float], "a list of 3 numbers"),
        (tuple[int, ...], "a list of whole numbers"),
        (Annotated[list[int], MinLen(1)], "a list of at least 1 whole numbers"),
        (Annotated[list[int], Len(2)], "a list of 2 whole numbers"),
        (list[int | str], "a list of whole numbers or texts"),
        (Mapping[str, int], "a mapping"),
        (dict, "a mapping"),
        (int | float | str, "a whole number, a number or text"),
        (Literal["a", "b"] | Literal["a", "c"], "a, b or c"),
        (Annotated[int | None, "a note"], "a whole number or null"),
    ],
)
def test_each_kind_of_annotation_has_its_words(annotation: Any, said: str) -> None:
    assert words(annotation) == said


@pytest.mark.parametrize(
    "annotation, value, said",
    [
        (Literal["one", "two"], "onne", "unknown key 'onne'. Did you mean 'one'? Allowed: one, two"),
        (Literal["one", "two"] | None, "x", "unknown key 'x'. Allowed: one, two"),
        (Literal["one", "two"], 3, "key must be one or two, got 3"),
        (Literal["auto"] | bool, "atuo", "key must be auto, true or false, got 'atuo'. Did you mean 'auto'?"),
        (Literal["auto"] | bool, "none like it", "key must be auto, true or false, got 'none like it'"),
        (PositiveInt, 0, "key must be a whole number of at least 1, got 0"),
    ],
)
def test_a_refusal_names_the_nearest_of_a_closed_list(annotation: Any, value: object, said: str) -> None:
    assert refusal("key", annotation, value) == said


def test_a_list_is_closed_only_where_nothing_else_is_allowed() -> None:
    assert choices(Literal["a", 3] | None) == ["a", "3"]
    assert choices(Literal["a"] | int) == choices(int) == []
    assert choices(Literal["a"] | Literal["b"]) == ["a", "b"]


def test_where_lists_and_mappings_of_something_are_allowed() -> None:
    lists = (list, list[int], tuple[int, int], Sequence[int] | None, Annotated[list[int], MinLen(1)], int | list)
    for annotation in lists:
        assert is_list(annotation)
    for annotation in (int, str, dict[str, int], Literal["a"]):
        assert not is_list(annotation)
    assert values_of(dict[str, int] | None) is int
    assert values_of(Mapping[str, PositiveFloat]) == PositiveFloat
    assert values_of(dict[str, Any]) is values_of(list[int]) is None


def named(
    first: int,
    /,
    second: PositiveInt,
    third: float = 0.5,
    *rest: int,
    fourth: str,
    fifth: NonNegativeInt = 0,
    **more: Any,
) -> None: ...


def test_the_parameters_of_a_function_and_whether_each_must_be_given() -> None:
    node = {"_target_": f"{__name__}.named"}
    assert target.parameters("x", node) == {"second": True, "third": False, "fourth": True, "fifth": False}


def two(a: int, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
    return a, b, c


def test_what_is_given_by_its_place_is_no_key() -> None:
    node = {"_target_": f"{__name__}.two", "name": "x", "c": 5}
    assert target.call("x", node, 1) == (1, 2, 5)
    assert target.call("x", node, 1, 4) == (1, 4, 5)
    with pytest.raises(ValueError, match=r"^unknown key x\.a\. two takes: b, c$"):
        target.call("x", {**node, "a": 3}, 1)
    target.check_node("x", node, positional=1)
    with pytest.raises(ValueError, match=r"^x\.a is missing: two has no default for it$"):
        target.check_node("x", node)
    with pytest.raises(ValueError, match=r"^unknown key x\.c\. "):
        target.check_node("x", node, ("c",), positional=1)


def test_what_may_be_typed_beside_is_proposed_and_not_taken() -> None:
    with pytest.raises(ValueError, match=r"^unknown key size\. Did you mean 'sizes'\? two takes: a, b, c, sizes$"):
        target.check(two, {"size": 3}, beside=["sizes"])
    with pytest.raises(ValueError, match="unknown key sizes"):
        target.check(two, {"sizes": 3}, beside=["sizes"])


def taking_any(a: int = 1, **more: int) -> dict[str, int]:
    return {"a": a, **more}


def test_a_function_that_takes_any_key_takes_none_twice() -> None:
    node = {"_target_": f"{__name__}.taking_any", "b": 2}
    assert target.call("x", node, c=3) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(ValueError, match=r"unknown key x\.b"):
        target.call("x", node, b=3)


def optional(size: PositiveInt = None, width: PositiveInt = 1) -> Any:  # type: ignore[assignment]  # as people write it
    return size, width


def test_only_the_default_itself_escapes_its_annotation() -> None:
    node = {"_target_": f"{__name__}.optional"}
    assert target.call("x", {**node, "size": None}) == (None, 1)
    with pytest.raises(ValueError, match=r"x\.width must be a whole number of at least 1, got None"):
        target.call("x", {**node, "width": None})


def test_a_value_is_checked_under_the_name_it_is_called_by() -> None:
    target.check_value("margin", PositiveFloat | None, None)
    target.check_value("margin", PositiveFloat, 3)
    for odd in ("3", True, 0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"^margin must be a number above 0, got"):
            target.check_value("margin", PositiveFloat, odd)


def test_the_first_line_of_an_error_and_its_type_where_that_tells() -> None:
    assert target.line(ValueError("\n one\ntwo")) == "one"
    assert target.line(KeyError()) == "KeyError"
    assert target.reason(ValueError("one\ntwo")) == "one"
    assert target.reason(RuntimeError("one\ntwo")) == "RuntimeError: one"


def test_what_is_ours_raises_as_it_is_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target.is_ours(words)
    assert not target.is_ours(pytest.raises)

    def of_initbenchmark() -> None:
        raise RuntimeError("odd")

    of_initbenchmark.__module__ = "initbenchmark.x"
    assert not target.is_ours(of_initbenchmark)
    of_initbenchmark.__module__ = "initbench.x"
    monkeypatch.setattr(target, "load", lambda what, name: of_initbenchmark)
    with pytest.raises(RuntimeError, match=r"^odd$"):
        target.call_with("x", "a.b", {})
    of_initbenchmark.__module__ = "mine"
    with pytest.raises(ValueError, match=r"^x a\.b: RuntimeError: odd$"):
        target.call_with("x", "a.b", {})
