"""Write the generated parts of the READMEs: the demo's figure, verdict and table, the costs, the list of benchmarks.

    make demo && python scripts/readme_blocks.py

Writes docs/demo.svg from the runs in runs/demo, and the blocks between the markers `demo` and `cost` of both READMEs.
The costs come from the newest table in docs/benchmarks/ of a machine with two cores, as the READMEs say.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import bench_sweep
import matplotlib as mpl
from matplotlib import pyplot as plt

import initbench
from initbench.analysis.verdict.verdict import Verdict
from initbench.analysis.workload.learning_curves import load_curves, mean_curves
from initbench.analysis.workload.ranking import Ranking
from initbench.figures import look
from initbench.metric import ACCURACY
from initbench.report.content.workload_tables import ranking_table
from initbench.report.formats.markdown import table
from initbench.report.formats.paper_figures import STYLES

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "docs" / "benchmarks"
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
WAYS = ("template", "bare", "auto")
SWEEPS = {"64 runs of mlp": "64 x MLP", "64 runs of lenet": "64 x LeNet", "4 runs of mlp": "4 x MLP"}
HEADINGS = {
    "README.md": ("runs", "a typical Lightning template", "the shortest PyTorch loop, no records", "initbench"),
    "README.zh.md": ("训练次数", "常见的 Lightning 模板", "不留记录的最短 PyTorch 循环", "initbench"),
}


def main() -> None:
    verdict = initbench.verdict(initbench.load_runs(ROOT / "runs" / "demo"))
    (ranking,) = verdict.comparison.rankings
    draw(ranking, ROOT / "docs" / "demo.svg")
    for readme in READMES:
        write_block(readme, "demo", demo(verdict, ranking))
    write_index()
    write_costs()


def draw(ranking: Ranking, path: Path) -> None:
    """Validation accuracy of each initializer against steps; the band spans the lowest to the highest seed."""
    # The same bytes for the same runs: no date, no random ids; text stays text.
    mpl.rcParams.update({"svg.hashsalt": "initbench", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    curves = mean_curves(load_curves(ranking.scored, ACCURACY)[0])
    for index, init in enumerate(ranking.table.index):
        curve = curves[str(init), "val/accuracy"]
        colour, dash = look(index)
        axes.plot(curve.index, curve["mean"], label=str(init), linewidth=1.8, color=colour, linestyle=STYLES[dash])
        axes.fill_between(curve.index, curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="step", ylabel="validation accuracy", title=ranking.workload, ylim=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def demo(verdict: Verdict, ranking: Ranking) -> str:
    """The verdict as a quotation, and the ranking."""
    quoted = "\n>\n".join(f"> {sentence.text}" for sentence in verdict.sentences)
    return f"{quoted}\n\n{table(ranking_table(ranking, ACCURACY))}"


def write_index() -> None:
    write_block(BENCHMARKS / "README.md", "tables", index())


def index() -> str:
    """A line for each table of docs/benchmarks/, the newest first."""
    names = [path.stem for path in BENCHMARKS.glob("*.md") if path.name != "README.md"]
    return "\n".join(f"- [{name}]({name}.md)" for name in sorted(names, key=_date, reverse=True))


def write_costs() -> None:
    for readme in READMES:
        write_block(readme, "cost", costs(newest(), HEADINGS[readme.name]))


def newest() -> dict[str, Any]:
    """The results of the newest table of a machine like that of the READMEs."""
    path = max(BENCHMARKS.glob("*-2-cores-*.json"), key=lambda path: _date(path.stem))
    results: dict[str, Any] = json.loads(path.read_text())["results"]
    return results


def _date(name: str) -> str:
    """The end of the name of a table."""
    return name[-len("2026-11-26") :]


def costs(results: Mapping[str, Any], headings: tuple[str, ...]) -> str:
    """Seconds of whole sweeps in each of the `WAYS`, one row per sweep."""
    rows = [[name, *(f"{_seconds(results[sweep], way)} s" for way in WAYS)] for sweep, name in SWEEPS.items()]
    lines = [headings, ["---", *["---:"] * len(WAYS)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(result: Mapping[str, Any], way: str) -> str:
    """The median, marked where it is extrapolated."""
    if "seconds" in result:  # of the first table
        is_extrapolated = result["inits"] * result["seeds"] > {"template": 3, "bare": 5}.get(way, 64)
        seconds = median(result["seconds"][way])
    else:
        timing = bench_sweep.seconds(result, way)
        is_extrapolated, seconds = timing.is_extrapolated, timing.median
    return f"≈ {seconds:.0f}" if is_extrapolated else f"{seconds:.0f}"


def write_block(page: Path, name: str, content: str) -> None:
    """Replace what is between the markers of this name."""
    block = f"<!-- {name}:begin -->\n{content}\n<!-- {name}:end -->"
    pattern = f"<!-- {name}:begin -->.*<!-- {name}:end -->"
    page.write_text(re.sub(pattern, lambda _: block, page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
