"""The README's figure, verdict and table, from the runs that `make demo` left in runs/demo.

    make demo && python scripts/readme_demo.py

Writes docs/demo.svg and the block between the demo markers of README.md.
"""

import re
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

import initbench
from initbench.analysis.workload.learning_curves import load_curves, mean_curves
from initbench.figures import look
from initbench.metric import ACCURACY
from initbench.report.content.workload_tables import ranking_table
from initbench.report.formats.markdown import table
from initbench.report.formats.paper_figures import STYLES

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    verdict = initbench.verdict(initbench.load_runs(ROOT / "runs" / "demo"))
    (ranking,) = verdict.comparison.rankings
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
    (ROOT / "docs").mkdir(exist_ok=True)
    figure.savefig(ROOT / "docs" / "demo.svg", metadata={"Date": None})

    quoted = "\n>\n".join(f"> {sentence.text}" for sentence in verdict.sentences)
    block = f"<!-- demo:begin -->\n{quoted}\n\n{table(ranking_table(ranking, ACCURACY))}\n<!-- demo:end -->"
    readme = ROOT / "README.md"
    text = re.sub("<!-- demo:begin -->.*<!-- demo:end -->", lambda _: block, readme.read_text(), flags=re.DOTALL)
    readme.write_text(text)


if __name__ == "__main__":
    main()
