"""`attribution.html` and `attribution.json`, beside the report of the study."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from initbench.analysis.verdict.sentence import Sentence
from initbench.attribution.design import Design
from initbench.attribution.effects import Effects
from initbench.attribution.figure import forest
from initbench.attribution.smallest import Smallest
from initbench.attribution.study import Runs
from initbench.attribution.wording import rows
from initbench.record.store import atomic_write, finite
from initbench.wording import count, visible

CAPTION = (
    "The first row is the difference between the two initializers. The row of a part says by how much the score is "
    "better with {b} there instead of {a}, on average over the other parts; that of a pair, by how much both together "
    "gain beyond the sum of what each gains alone. Filled points are significant: sign flips over seeds, corrected by "
    "Holm's method over all rows. The intervals (Student's t, 95%) hold for all rows at once."
)


def write(
    folder: Path,
    title: str,
    effects: Effects,
    runs: Runs,
    small: Smallest | None,
    sentences: Sequence[Sentence],
    names: tuple[str, str],
    command: str,
) -> Path:
    """Write the page and its numbers into a folder; return the path of the page. names: of the two initializers."""
    metric, (a, b) = runs.metric, names
    environment = Environment(loader=PackageLoader("initbench.attribution"), autoescape=True, undefined=StrictUndefined)
    css = (files("initbench.report") / "templates" / "page.css").read_text("utf-8")
    means = [metric.cell(mean) for mean in effects.complete.mean().tolist()]
    page = environment.get_template("page.html.j2").render(
        title=visible(title),
        facts=facts(effects),
        css=Markup(css),
        sentences=sentences,
        figure=Markup(forest(effects.table, metric, b).to_html(full_html=False, include_plotlyjs=False)),
        caption=CAPTION.format(a=a, b=b),
        columns=columns(runs, b),
        rows=rows(effects.table, metric),
        b=b,
        metric=metric.label,
        arms=[(", ".join(arm) or "nothing", mean) for arm, mean in zip(effects.design.arms, means, strict=True)],
        command=visible(command),
    )
    if not (script := folder / "plotly.min.js").exists():
        atomic_write(script, get_plotlyjs().encode())
    numbers = {
        "a": a,
        "b": b,
        "parts": effects.design.parts,
        "arms": len(effects.design.arms),
        "resolution": effects.design.resolution,
        "seeds": effects.seeds,
        "level": effects.level,
        "metric": metric.name,
        "sentences": [asdict(sentence) for sentence in sentences],
        "effects": effects.table.to_dict("records"),
        "smallest": None if small is None else asdict(small),
    }
    atomic_write(folder / "attribution.json", json.dumps(finite(numbers), indent=1, allow_nan=False).encode())
    atomic_write(folder / "attribution.html", page.encode())
    return folder / "attribution.html"


def facts(effects: Effects) -> str:
    """What was compared, in a line."""
    return f"{described(effects.design)}; {count(effects.seeds, 'seed')}"


def described(design: Design) -> str:
    """A design in words: how many arms, and what it can tell apart."""
    arms = f"{count(len(design.parts), 'part')} in {len(design.arms)} arms"
    if design.resolution is None:
        return f"{arms}, every combination"
    apart = "all pairs of parts are told apart" if design.resolution > 4 else "some pairs of parts cannot be told apart"
    return f"{arms}, a fraction of resolution {_ROMAN[design.resolution]}: {apart}"


_ROMAN = {4: "IV", 5: "V", 6: "VI"}


def columns(runs: Runs, b: str) -> list[str]:
    """The heads of the table of effects."""
    unit = f", {runs.metric.points}" if runs.metric.points else ""
    return ["effect", f"gain with {b}{unit}", "95% interval", "p (Holm)"]
