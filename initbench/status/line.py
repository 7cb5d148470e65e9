"""The line of a run that has ended."""

from rich.markup import escape

from initbench.status.facts import RunFacts
from initbench.wording import duration

STYLES = {
    "finished": "green",
    "running": "cyan",
    "diverged": "yellow",
    "interrupted": "yellow",
    "refused": "yellow",
    "failed": "red",
    "waiting": "dim",
}


def line(run: RunFacts, already: str = "") -> str:
    """`lenet-mnist-orthogonal-seed0  finished  test accuracy 0.9876  3.2 s`, with rich's markup.

    already: text before the status, such as "already " for a run that is not repeated.
    """
    facts = [f"[{STYLES.get(run.status, 'none')}]{already}{escape(run.status)}[/]"]
    if run.lr is not None:
        facts.append(f"lr {run.lr:g}")
    if run.test is not None and run.metric is not None:
        value = run.metric.cell(run.metric.sign * run.test)
        facts.append(f"{run.metric.label} {value} {run.metric.unit}".rstrip())
    if run.seconds_train is not None:
        facts.append(duration(run.seconds_train))
    if run.reason:
        facts.append(escape(run.reason))
    return f"{escape(run.name)}  {'  '.join(facts)}"
