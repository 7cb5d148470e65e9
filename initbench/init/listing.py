"""The list of all initializers: family, source, what each requires from a model, and what it acts on."""

import inspect
import re
from dataclasses import dataclass

from initbench.init.scheme import find, options, read_option
from initbench.init.structure.parts import NEEDED
from initbench.registry import CONF

# The arguments that a function asks for, in words; the others can be provided for every model.
_NEEDS = {
    "batch": "a batch",
    "loss": "a loss",
    **{name: name for name in NEEDED},
    "branches": "residual branches",
    "attentions": "self-attention",
    "recurrents": "recurrent layers",
}
KINDS = ("scheme", "rules", "method")


@dataclass(frozen=True)
class Entry:
    """One file of conf/init as a row of the list. Texts are empty where there is nothing to say."""

    name: str
    kind: str  # one of KINDS: it fills tensors, consists of rules and policies alone, or changes a whole model
    family: str  # the name of the file that defines its function: "variance"
    source: str
    needs: str
    acts_on: str


def entries() -> list[Entry]:
    """Every initializer: schemes, then rules, then methods, each sorted by family and name."""
    return sorted(map(_entry, options()), key=lambda entry: (KINDS.index(entry.kind), entry.family, entry.name))


def documented(function: object) -> tuple[str, str]:
    """The texts after `Source:` and `Acts on:` in a docstring, without the full stop; empty if absent."""
    lines = re.findall(r"^(Source|Acts on): (.+?)\.?$", _unwrapped(inspect.getdoc(function) or ""), re.MULTILINE)
    found = dict(lines)
    return found.get("Source", ""), found.get("Acts on", "")


def _entry(name: str) -> Entry:
    option = read_option(name)
    if "_target_" not in option:
        # The first author and year in the file's comment.
        source = re.search(r"^#.*\((\D+\d{4})\)", (CONF / "init" / f"{name}.yaml").read_text("utf-8"))
        return Entry(name, "rules", "rules", source[1] if source else "", "", "what its rules and policies name")
    target = find(name)
    source_line, acts_on = documented(target.function)
    needs = ", ".join(_NEEDS[what] for what in target.asks_for if what in _NEEDS)
    family = target.function.__module__.rpartition(".")[2]
    return Entry(name, "scheme" if target.fills == "tensor" else "method", family, source_line, needs, acts_on)


def _unwrapped(text: str) -> str:
    """The text with wrapped lines joined, so that each entry is one line."""
    return re.sub(r"(?<=\S)\n *(?!Source: |Acts on: |\n)", " ", text)
