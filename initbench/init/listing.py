"""All initializers there are: family, source, what each needs of a model, what it acts on."""

import inspect
import re
from dataclasses import dataclass

from initbench.init.scheme import find, options, read_option
from initbench.init.structure import FINDERS
from initbench.registry import CONF

# What a function asks for, in words; what else it is given, every model has.
_NEEDS = {
    "batch": "a batch",
    "loss": "a loss",
    **{name: name for name in FINDERS},
    "branches": "residual branches",
    "attentions": "self-attention",
    "recurrents": "recurrent layers",
}
KINDS = ("scheme", "rules", "method")


@dataclass(frozen=True)
class Entry:
    """One file of conf/init."""

    name: str
    kind: str  # one of KINDS: fills tensors; is made of rules and policies alone; treats a whole model
    family: str  # the file that its function lives in: "variance"
    source: str
    needs: str
    acts_on: str


def entries() -> list[Entry]:
    """Every initializer: schemes, then rules, then methods, families together."""
    return sorted(map(_entry, options()), key=lambda entry: (KINDS.index(entry.kind), entry.family, entry.name))


def documented(function: object) -> tuple[str, str]:
    """What stands behind `Source:` and `Acts on:` in a docstring, without the full stop; empty where nothing does."""
    lines = re.findall(r"^(Source|Acts on): (.+?)\.?$", _unwrapped(inspect.getdoc(function) or ""), re.MULTILINE)
    found = dict(lines)
    return found.get("Source", ""), found.get("Acts on", "")


def _entry(name: str) -> Entry:
    option = read_option(name)
    if "_target_" not in option:
        # The first author and year in the file's comment.
        source = re.search(r"^#.*\((\D+\d{4})\)", (CONF / "init" / f"{name}.yaml").read_text())
        return Entry(name, "rules", "rules", source[1] if source else "", "", "what its rules and policies name")
    target = find(name)
    source_line, acts_on = documented(target.function)
    needs = ", ".join(_NEEDS[what] for what in target.asks_for if what in _NEEDS)
    family = target.function.__module__.rpartition(".")[2]
    return Entry(name, "scheme" if target.fills == "tensor" else "method", family, source_line, needs, acts_on)


def _unwrapped(text: str) -> str:
    """The same text with wrapped lines joined, so that an entry is one line."""
    return re.sub(r"(?<=\S)\n *(?!Source: |Acts on: |\n)", " ", text)
