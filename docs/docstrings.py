"""A Sphinx extension: docstrings as reStructuredText.

The docstrings of initbench are plain text, in which a name in backticks is code, a paragraph that is indented is shown
as it stands, and `name: ` at the beginning of a sentence, or below `Attributes:`, introduces an argument or an
attribute. What the fields of a dataclass mean is often in comments beside them.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from textwrap import dedent
from typing import Any

from sphinx.application import Sphinx

import initbench

_CODE = re.compile(r"`([^`\n]+)`")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _rewrite)
    app.connect("autodoc-process-signature", _readable)
    return {"parallel_read_safe": True}


def _readable(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Defaults such as <function always> and <factory> are no Python: the arguments after them would be taken apart."""
    return signature and re.sub(r"<[^<>]*>", "...", signature), returned


def _rewrite(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    arguments = _arguments(documented)
    paragraphs = "\n".join(lines).strip("\n").split("\n\n")
    rewritten = "\n\n".join(_paragraph(paragraph, arguments) for paragraph in paragraphs)
    comments = [f":ivar {name}: {_paragraph(meaning, set())}" for name, meaning in _comments(documented)]
    lines[:] = [*rewritten.split("\n"), "", *comments, ""]


def _comments(documented: Any) -> Iterator[tuple[str, str]]:
    """The fields of a dataclass or a named tuple with the comments above or beside them."""
    if not (isinstance(documented, type) and (is_dataclass(documented) or hasattr(documented, "_fields"))):
        return
    source = dedent(inspect.getsource(documented))
    lines, (definition,) = source.splitlines(), ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            beside = lines[node.end_lineno - 1][node.end_col_offset :].partition("# ")[2]
            above: list[str] = []
            for line in reversed(lines[: node.lineno - 1]):
                if not line.startswith("    # "):
                    break
                above.insert(0, line.removeprefix("    # "))
            if meaning := " ".join([*above, beside]).strip():
                yield node.target.id, meaning


def _arguments(documented: Any) -> set[str]:
    names = set(getattr(documented, "__annotations__", {}))
    try:
        return names | set(inspect.signature(documented).parameters)
    except (TypeError, ValueError):  # a property, or a plain value
        return names


def _paragraph(text: str, arguments: set[str]) -> str:
    if text.startswith("Attributes:\n"):
        entries = re.findall(r"^    (\w+): (.+(?:\n {5,}.+)*)", text, re.MULTILINE)
        return "\n".join(f":ivar {name}: {_paragraph(' '.join(meaning.split()), set())}" for name, meaning in entries)
    if text.startswith("    "):
        return ".. code-block:: text\n\n" + text
    code: list[str] = []
    for_roles = _CODE.sub(lambda found: f"\0{code.append(found[1]) or len(code) - 1}\0", text)
    plain = re.sub(r"([*|\\])|(?<=\w)_(?!\w)", lambda found: f"\\{found[0]}", for_roles)
    plain = re.sub(
        r"(^|(?<=[.;)] )|(?<=\n\n))(\w+)(?=: )",
        lambda found: f"**{found[2]}**" if found[2] in arguments else found[2],
        plain,
    )
    return re.sub(r"\0(\d+)\0", lambda found: _role(code[int(found[1])]), plain)


def _role(code: str) -> str:
    """A link if it is a public name, else code."""
    name = code.removeprefix("initbench.")
    return f":py:obj:`~initbench.{name}`" if name in initbench.__all__ else f"``{code}``"
