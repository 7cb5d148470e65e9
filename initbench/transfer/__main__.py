"""`python -m initbench.transfer init=gpt2,mup axis=width values=64,128,256`: whether the learning rate transfers."""

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.analysis.loading.frame import judged_by, load_runs
from initbench.command_line import run
from initbench.config.own_sweep import sweep
from initbench.console import console
from initbench.errors import UserMistake
from initbench.fitting import Fitting
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
    train(asked.sweep(asked.rates))
    found = scores(asked)
    for _ in range(EXTENSIONS):
        if not (beyond := sorted({rate for of_init in found for rate in of_init.beyond()})):
            break
        console.print(
            f"A best rate is at the edge of the grid: trying {', '.join(f'{rate:.3g}' for rate in beyond)} too."
        )
        train(asked.sweep(beyond))
        found = scores(asked)
    verdict = drifts(found)
    train(check.overrides(asked, verdict))
    show(asked, verdict)


def train(overrides: Sequence[str]) -> None:
    """Run what is missing of a sweep; end as it does unless some of its runs are there."""
    if (code := sweep(overrides)) not in (0, 1):  # 1: some runs failed
        sys.exit(code)


def scores(asked: Asked) -> list[Scores]:
    """What the runs of the study have reached. Raises UserMistake if no seed has ended everywhere."""
    found = scores_of(load_runs(asked.runs_dir / asked.study), asked.key, asked.values)
    if empty := [of_init.init for of_init in found if not of_init.seeds]:
        raise UserMistake(f"{', '.join(empty)}: no seed has ended at all values and rates; type the same line again")
    return found


def show(asked: Asked, verdict: Sequence[Drift]) -> None:
    """Print the best rates and the sentences, and write the picture into the folder of the study."""
    from initbench.transfer.figure import draw  # matplotlib takes a while

    table = Table(box=SIMPLE_HEAD, title="Best learning rate", title_justify="left")
    table.add_column(asked.axis.replace("_", " "))
    for value in asked.values:
        table.add_column(f"{value:g}", justify="right")
    for drift in verdict:
        cells = [
            f"{2**best:.3g} ({2**low:.3g} to {2**high:.3g})" if low == low else f"{2**best:.3g}"
            for best, low, high in zip(drift.best, drift.best_low, drift.best_high, strict=True)
        ]
        table.add_row(*map(escape, (drift.init, *cells)))
    console.print(Fitting(table))
    for drift in verdict:
        console.print(sentence(drift, asked.axis), markup=False, soft_wrap=True)
    console.print(basis(list(verdict)), markup=False, soft_wrap=True)
    folder = asked.runs_dir / asked.study
    runs = load_runs(folder)
    path = folder / "transfer.svg"
    draw(
        verdict,
        check.checks(load_runs(asked.runs_dir / check.study_of(asked)), asked),
        asked.axis,
        judged_by(runs),
        path,
    )
    console.print(f"Picture: {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(main)
