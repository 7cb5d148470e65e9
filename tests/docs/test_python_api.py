"""The pages of the Python API: every public name with an example, and docstrings that become what they look like."""

import importlib.util
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from page_blocks import blocks

import initbench

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "reference" / "python").glob("*.md"))
NAMES = [name for name in initbench.__all__ if name != "CONF"]


@dataclass
class Point:
    """A point.

    label: a name.
    """

    x: float  # from the *left*, as in `width`
    # From the top,
    # downwards.
    y: float = 0.0
    label: str = ""


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    """docs/docstrings.py, which Sphinx imports."""
    spec = importlib.util.spec_from_file_location("docstrings", DOCS / "docstrings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_on_a_page_with_an_example(name: str) -> None:
    (page,) = [
        page for page in PAGES if re.search(rf"auto(?:function|class):: initbench\.{name}$", page.read_text(), re.M)
    ]
    examples = [block for block in blocks(page) if block.language == "python" and block.is_run]
    assert any(f"initbench.{name}(" in block.text for block in examples) or name == "load_wandb"  # it needs a network


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_says_what_is_raised(name: str) -> None:
    assert "Raises ValueError" in (inspect.getdoc(getattr(initbench, name)) or "")


def test_a_docstring_is_read_as_plain_text(docstrings: ModuleType) -> None:
    assert docstrings._paragraph("a * b of `normal_` and normal_", set()) == r"a \* b of ``normal_`` and normal\_"
    assert docstrings._paragraph("loss: a function. seed: a number: 0", {"loss", "seed"}).startswith(
        "**loss**: a function."
    )
    assert ":py:obj:`~initbench.diagnose`" in docstrings._paragraph("as in `initbench.diagnose`", set())
    assert docstrings._paragraph("    x = 1\n    y = 2", set()) == ".. code-block:: text\n\n    x = 1\n    y = 2"
    assert (
        docstrings._paragraph("Attributes:\n    a: one\n        of two.\n    b: c", set())
        == ":ivar a: one of two.\n:ivar b: c"
    )


def test_comments_beside_and_above_fields_are_what_they_mean(docstrings: ModuleType) -> None:
    assert dict(docstrings._comments(Point)) == {
        "x": "from the *left*, as in `width`",
        "y": "From the top, downwards.",
    }
    lines = inspect.cleandoc(Point.__doc__ or "").splitlines()
    docstrings._rewrite(None, "class", "Point", Point, None, lines)
    assert "**label**: a name." in lines
    assert r":ivar x: from the \*left\*, as in ``width``" in lines


def test_defaults_that_are_no_python_are_left_out(docstrings: ModuleType) -> None:
    found = docstrings._readable(None, "class", "", None, None, "(a: int = <factory>, b: f = <function f>)", None)
    assert found == ("(a: int = ..., b: f = ...)", None)
