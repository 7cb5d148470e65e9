"""Write docs/reference/initializers/: a page with pictures for every initializer of conf/init, and a gallery.

    python scripts/initializer_pages.py               # all of them; a minute on two cores
    python scripts/initializer_pages.py siren mup     # some pages, and the gallery of those that exist

`make docs` does this before it builds the site. The folder is not committed.
"""

import inspect
import multiprocessing
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
import yaml
from config_reference import declared_keys, rows_of
from initializer_pictures import draw_depth, draw_small, draw_weights
from initializer_signal import Measured, measure
from initializer_stacks import ARGUMENTS, DEPTH, WITHOUT_PICTURES, stacks_of

from initbench import CONF
from initbench.config.mistakes import part_of
from initbench.init import options
from initbench.init.listing import Entry, entries
from initbench.schema.config import Config
from initbench.schema.target import load

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
FOLDER = REFERENCE / "initializers"
KINDS = {
    "scheme": "It fills each weight by itself.",
    "rules": "It consists of schemes for single layers and roles.",
    "method": "It changes the model as a whole, after the schemes of `weight` and of the policies have filled it.",
}
GALLERY = """\
# Gallery of initializers

Every initializer of `init=`, as its 30 layers or blocks look before the first step. In each picture, the horizontal
axis counts layers, from 1 to 30, and the vertical axis has root mean squares, on a logarithmic scale. Solid lines are
the outputs of the layers for inputs from N(0, 1): the signal. Dashed lines are the gradient with respect to them, if
N(0, 1) is sent back from the last one. Where both stay near 1, a deep network can learn from its first step; a line
that falls by many powers of ten is a signal or a gradient that does not arrive. Numbers below 1e-8 and above 1e8 are
drawn there. Biases are part of the outputs: with `default`, they are all that is left after some layers.

Where there are two colours, blue is an MLP or a convolutional network with ReLU, and orange the same with tanh. One
colour is another model, which the page of the initializer names. A picture says nothing about training: for that,
[compare initializers](../commands.md#train). [Initializers](../initializers.md) explains policies, rules, gains and
fans.
"""


def page(entry: Entry, found: list[Measured]) -> str:
    """The text of an initializer's page."""
    path = CONF / "init" / f"{entry.name}.yaml"
    text = path.read_text("utf-8")
    option = yaml.safe_load(text)
    comment = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    facts = {"needs": entry.needs, "acts on": entry.acts_on, "source": linked(escaped(entry.source))}
    lines = [
        f"# `{entry.name}`",
        escaped(comment),
        KINDS[entry.kind],
        table(("", ""), [(key, value) for key, value in facts.items() if value]),
        "## Use it",
        "<!-- not run: it trains a model of this depth -->",
        f"```sh\npython -m initbench {command(entry.name)}\n```",
        "<!-- not run: `model` is yours -->",
        f"```python\n{call(entry)}\n```",
    ]
    if keys := list(rows_of("init", path, declared_keys(part_of(Config.model_fields["init"])))):
        lines += ["## Keys", "\n".join(["| key | allowed | default | meaning |", "|---|---|---|---|", *keys])]
    lines.append(
        "The [policies](../initializers.md#weights-biases-norms-policies) for biases, norms, embeddings and other roles"
        ", and [rules](../initializers.md#single-layers-rules) for single layers, can be set for every initializer."
    )
    if "_target_" in option:
        lines += ["## In detail", details(load("init", option["_target_"]))]
    if found:
        lines += ["## Before the first step", *pictures(entry.name, found)]
    else:
        lines.append("There is no picture: the weights are those of a file of yours.")
    return "\n\n".join(lines) + "\n"


def command(name: str) -> str:
    """What shows the initializer on the command line."""
    if name in WITHOUT_PICTURES:
        return f"init={name} init.path=weights.safetensors"
    given = [
        f"init.{key}={value}" if isinstance(value, str) else f"'init.{key}=[{','.join(value)}]'"
        for key, value in ARGUMENTS.get(name, {}).items()
    ]
    return " ".join([f"init={name}", *given, stacks_of(name)[0].command])


def call(entry: Entry) -> str:
    """The call of `initialize` in Python."""
    given = "".join(f", {key}={value!r}" for key, value in ARGUMENTS.get(entry.name, {}).items())
    if entry.name in WITHOUT_PICTURES:
        given = ', path="weights.safetensors"'
    if "a batch" in entry.needs:
        given += ", batch=(inputs, targets)"
    return f'initbench.initialize(model, "{entry.name}", seed=0{given})'


def pictures(name: str, found: list[Measured]) -> list[str]:
    """Draws the pictures of an initializer; returns what the page says about them."""
    shown = [one for one in found if not one.refusal]
    lines = [f"In {one.stack.words}, it is refused: {escaped(one.refusal)}." for one in found if one.refusal]
    if not shown:
        return lines
    draw_weights(shown[0], FOLDER / f"{name}_weights.svg")
    draw_depth(shown, FOLDER / f"{name}_depth.svg")
    draw_small(name, shown, FOLDER / f"{name}_small.svg")
    ends = [
        f"in {one.stack.words}, the outputs go from {one.signal[0]:.2g} to {one.signal[-1]:.2g} and the gradient, "
        f"from the last one back, from 1 to {one.gradient[0]:.2g}"
        for one in shown
    ]
    weight, what = shown[0].stack.weight, shown[0].stack.axis
    histogram = f"Histogram of the weights of {weight}, whose standard deviation is {deviation(shown[0]):.3g}"
    return [
        f"In {' and '.join(one.stack.words for one in shown)}, with seed 0. The root mean square of the outputs of "
        f"each {what}, and of the gradient with respect to them, if N(0, 1) is sent back from {what} {DEPTH}:",
        f"![Root mean squares through {DEPTH} {what}s: {'; '.join(ends)}]({name}_depth.svg)",
        f"The weights of `{weight}`, beside the normal distribution with the variance 1 / fan_in:",
        f"![{histogram}]({name}_weights.svg)",
        "Some of its parameters, as `initbench.describe` shows them all:",
        parameters(shown[0]),
        *lines,
    ]


def deviation(found: Measured) -> float:
    return next(row["std"] for row in found.rows if row["parameter"] == found.stack.weight)


def parameters(found: Measured) -> str:
    """A table of the first and the last matrices and of one block between them."""
    block = re.match(r"(blocks\.\w+|stage\d\.\d+|recurrent)\.|(?:conv|linear)(15)\.", found.stack.weight)
    matrices = [row["parameter"] for row in found.rows if row["role"] in ("weight", "embedding") and row["fan_in"]]
    beside = {*matrices[:1], *matrices[-1:]}
    prefixes = ["conv15.", "norm15.", "linear15."] if block is None or block[1] is None else [f"{block[1]}."]
    rows = [row for row in found.rows if row["parameter"] in beside or row["parameter"].startswith(tuple(prefixes))]
    return table(
        ("parameter", "shape", "scheme", "fan_in", "expected std", "mean", "std"),
        [
            (
                f"`{row['parameter']}`",
                row["shape"],
                f"`{row['scheme']}`",
                "" if row["fan_in"] is None else str(row["fan_in"]),
                *("" if row[key] is None else f"{row[key]:.3g}" for key in ("std_expected", "mean", "std")),
            )
            for row in rows
        ],
    )


def details(function: object) -> str:
    """The docstring as Markdown, without the lines that are in the table of facts."""
    text = re.split(r"^(?:Source|Acts on): ", inspect.getdoc(function) or "", flags=re.MULTILINE)[0]
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("    "):
            paragraphs.append(f"```text\n{inspect.cleandoc('.' + chr(10) + paragraph)[2:]}\n```")
        else:
            paragraphs.append(linked(escaped(paragraph)))
    return "\n\n".join(paragraphs)


def escaped(text: str) -> str:
    """Text whose stars, underscores, brackets and angle brackets mean nothing to Markdown; code stays as it is."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<>\[\]])", r"\\\1", part) for part in parts)


def linked(text: str) -> str:
    """The numbers of arXiv as links."""
    return re.sub(r"arXiv (\d{4}\.\d{5})", r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [lines[0], ["---"] * len(lines[0]), *lines[1:]])


def gallery() -> str:
    """The index, with a small picture for each page, by the kinds that docs/reference/initializers.md has."""
    overview = (REFERENCE / "initializers.md").read_text().partition("| kind | options |")[2].partition("\n\n")[0]
    lines = [GALLERY]
    for kind, listed in re.findall(r"^\| (.+?) \| (.+) \|$", overview, re.MULTILINE):
        names = [name for name in re.findall(r"`(\w+)`", listed) if (FOLDER / f"{name}.md").exists()]
        heading = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", kind)
        if names:
            title = heading if "." in heading else heading.capitalize()
            lines += [f"## {title}\n", *map(entry_of_gallery, names), ""]
    return "\n".join([*lines, "```{toctree}\n:hidden:\n:glob:\n\n*\n```"]) + "\n"


def entry_of_gallery(name: str) -> str:
    if (FOLDER / f"{name}_small.svg").exists():
        return f"[![{name}: signal and gradient through {DEPTH} layers]({name}_small.svg)]({name}.md)"
    return f"[`{name}`]({name}.md)"


def write(entry: Entry) -> None:
    torch.set_num_threads(1)  # one process per core
    found = [] if entry.name in WITHOUT_PICTURES else [measure(entry.name, stack) for stack in stacks_of(entry.name)]
    (FOLDER / f"{entry.name}.md").write_text(page(entry, found))


def main(names: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = [entry for entry in entries() if entry.name in (names or options())]
    # The slow ones first, so that all cores are busy to the end.
    wanted.sort(key=lambda entry: entry.name not in ("gradinit", "metainit"))
    with multiprocessing.get_context("spawn").Pool() as pool:
        for _ in pool.imap_unordered(write, wanted):
            pass
    (FOLDER / "index.md").write_text(gallery())


if __name__ == "__main__":
    main(sys.argv[1:])
