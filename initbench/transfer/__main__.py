"""`python -m initbench.transfer init=gpt2,mup axis=width values=64,128,256`: whether the learning rate transfers."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by, load_runs
from initbench.command_line import run
from initbench.config.own_sweep import sweep
from initbench.console import console
from initbench.fitting import Fitting
from initbench.status.study import Study
from initbench.transfer import check
from initbench.transfer.asked import Asked, parse
from initbench.transfer.best_rate import Scores, scores_of
from initbench.transfer.drift import Drift, drifts
from initbench.transfer.wording import basis, sentence

EXTENSIONS = 4  # of the grid of rates, by one rate on each side where some best rate is at the edge

HELP = """\
Is the best learning rate the same at every width, depth or batch size, and with which initializers?

python -m initbench.transfer init=gpt2,mup model=gpt axis=width values=64,128,256

axis              width, depth or batch_size
values            two values or more
optimizer.lr      the rates to try; a fourth to four times that of the optimizer, if it is not given. Rates are added as
                  long as a best one is at the edge of those that were tried
seed              the seeds; ten, if it is not given. An interval needs five

Everything else is an override, as for a sweep. What is finished is not repeated. The picture is
<runs_dir>/<study>/transfer.svg.
"""


def main(arguments: list[str]) -> None:
    """Run what is missing, print the verdict and write the picture. Raises ValueError for what cannot be asked."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return
    asked = parse(arguments)
    training = Training(asked)
    training.sweep(asked.rates)
    if asked.dry_run:
        return
    found = training.scores()
    for _ in range(EXTENSIONS):
        if not (beyond := sorted({rate for of_init in found for rate in of_init.beyond()})):
            break
        listed = ", ".join(f"{rate:.3g}" for rate in beyond)
        console.print(f"A best rate is at the edge of those that were tried; trying {listed} too.")
        training.sweep(beyond)
        found = training.scores()
    level = training.level()
    verdict = drifts(found, level)
    rate = check.rate_of(verdict)
    code = sweep(check.overrides(asked, rate))  # whatever becomes of it, the verdict is there
    show(asked, verdict, level)
    draw(asked, verdict, rate)
    if code or training.has_failures:
        sys.exit(1)


class Training:
    """The sweeps of a command, and the runs that they planned."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.folder = asked.runs_dir / asked.study
        self.planned: set[str] = set()
        self.has_failures = False

    def sweep(self, rates: Sequence[float]) -> None:
        """Run what is missing at these rates; end as the sweep does, unless only some of its runs failed."""
        code = sweep(self.asked.sweep(rates))
        if code not in (0, 1):  # 1: some runs failed
            sys.exit(code)
        self.has_failures |= code == 1
        if not self.asked.dry_run and (plan := Study(self.folder).plan()) is not None:
            self.planned |= plan.runs

    def scores(self) -> list[Scores]:
        """What these runs have reached. Raises ValueError if that is too little."""
        runs = load_runs(self.folder)
        own = runs[[Path(path).name in self.planned for path in runs["path"]]]
        return scores_of(own, self.asked.key, self.asked.values)

    def level(self) -> float:
        """The error rate of claims: halved for each further look at a study to which seeds were added."""
        runs = load_runs(self.folder)
        return Comparison(runs, judged_by(runs)).level


def show(asked: Asked, verdict: Sequence[Drift], level: float) -> None:
    """Print the best rates and the sentences."""
    table = Table(box=SIMPLE_HEAD, title="Best learning rate", title_justify="left")
    table.add_column(asked.axis.replace("_", " "), min_width=min(max(len(drift.init) for drift in verdict), 30))
    for value in asked.values:
        table.add_column(f"{value:g}", justify="right")
    for drift in verdict:
        cells = [
            f"{2**best:.3g}" if math.isnan(low) else f"{2**best:.3g} ({2**low:.3g} to {2**high:.3g})"
            for best, low, high in zip(drift.best, drift.best_low, drift.best_high, strict=True)
        ]
        table.add_row(*map(escape, (drift.init, *cells)))
    console.print(Fitting(table))
    for text in [*(sentence(drift, asked.axis) for drift in verdict), basis(list(verdict), level)]:
        if text:
            console.print(text, markup=False, soft_wrap=True)


def draw(asked: Asked, verdict: Sequence[Drift], rate: float) -> None:
    """Write the picture into the folder of the study."""
    from initbench.transfer.figure import draw as write  # matplotlib takes a while

    folder = asked.runs_dir / asked.study
    short = asked.runs_dir / check.study_of(asked)
    checks = check.checks(load_runs(short), asked, rate) if short.is_dir() else {}
    path = folder / "transfer.svg"
    write(verdict, checks, asked.axis, judged_by(load_runs(folder)), path)
    console.print(f"Picture: {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(main)
