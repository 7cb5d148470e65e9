"""The summary of a study in a terminal."""

import platform
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from initbench.fitting import Fitting
from initbench.metric import Metric
from initbench.status.facts import RunFacts
from initbench.status.line import STYLES
from initbench.status.study import Race
from initbench.status.summary import WAITING, Row, Setting, Summary, Trouble
from initbench.wording import about, count, duration, visible

_MOST_RUNNING = 8
_MOST_TROUBLES = 10
_NARROWEST_INIT = 14  # with its frame
_TABLE_LINES = 5  # title, head and rules
_BAR_WIDTH = 24

_Row = TypeVar("_Row")


def overview(summary: Summary, now: float, width: int) -> Group:
    """One table per setting, why runs failed, what is running, and the totals."""
    parts: list[RenderableType] = [_table(setting, setting.rows, width) for setting in summary.settings]
    parts += [_race(race) for race in summary.races]
    if summary.troubles:
        parts.append(_troubles(summary.troubles))
    if summary.running:
        parts.append(_running(summary.running, now))
    return Group(*parts, *totals(summary))


def glance(summary: Summary, now: float, console: Console) -> Group:
    """As much as fits into the terminal: totals first, then what is running, then the most recent settings."""
    end: list[RenderableType] = [*(_race(race) for race in summary.races), *totals(summary)]
    room = console.height - _lines(console, *end)
    running = summary.running[: max(0, min(_MOST_RUNNING, room // 3))]
    running = _as_many_as_fit(running, lambda rows: _running(rows, now), console, room - 1)
    if running:
        end.insert(0, _running(running, now))
    room = console.height - _lines(console, *end) - 1  # for the line that counts what is left out
    tables: list[RenderableType] = []
    left_out = 0
    for setting in reversed(summary.settings):
        draw = partial(_table, setting, width=console.width)
        shown = _as_many_as_fit(setting.rows[: max(0, room - _TABLE_LINES)], draw, console, room)
        left_out += len(setting.rows) - len(shown)
        if shown:
            tables.insert(0, draw(shown))
            room -= _lines(console, tables[0])
        else:
            room = 0
    more = [Text(f"and {count(left_out, 'more row')}", style="dim")] if left_out else []
    return Group(*tables, *more, *end)


def _as_many_as_fit(
    rows: list[_Row], draw: Callable[[list[_Row]], RenderableType], console: Console, room: int
) -> list[_Row]:
    """The first rows, whose table has at most `room` lines; a long name takes several."""
    while rows and (lines := _lines(console, draw(rows))) > room:
        rows = rows[: max(0, min(len(rows) - 1, len(rows) * room // lines))]
    return rows


def _lines(console: Console, *parts: RenderableType) -> int:
    return len(console.render_lines(Group(*parts)))


def totals(summary: Summary) -> list[RenderableType]:
    """A bar for the latest sweep, and the sentences."""
    first, *rest = sentences(summary)
    if not summary.planned:
        return [first, *rest]
    begun = sum(run.step / run.total_steps for run in summary.running if run.step and run.total_steps)
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(summary.planned, summary.over + begun, width=_BAR_WIDTH), first)
    return [line, *rest]


def sentences(summary: Summary) -> list[Text]:
    """How far the latest sweep is, how fast it is, how many runs have each status, and which records are damaged."""
    counts = summary.counts
    known = [*STYLES, *sorted(set(counts) - set(STYLES))]
    found = [status for status in known if counts[status]]
    lines = [*_progress(summary), *_pace(summary)]
    total = count(counts.total(), "run")
    if len(found) > 1:
        each = [Text(f"{counts[status]} {status}", STYLES.get(status, "")) for status in found]
        lines.append(Text(f"{total}: ") + Text(", ").join(each))
    elif found:
        lines.append(Text(f"{total} {found[0]}", STYLES.get(found[0], "")))
    else:
        lines.append(Text("no run has started"))
    if summary.abandoned:
        lines.append(Text("the sweep ended while runs were waiting; type the same command to continue"))
    if summary.unreadable:
        number, first = len(summary.unreadable), visible(summary.unreadable[0])
        lines.append(
            Text(f"{number} record.json could not be read: {first}" + (", ..." if number > 1 else ""), "yellow")
        )
    return lines


def _progress(summary: Summary) -> list[Text]:
    is_over = not (summary.counts["running"] or summary.counts[WAITING])
    if summary.planned is None:
        return [] if is_over else [Text("time left unknown: the number of runs to come is not known")]
    which = "" if summary.planned == summary.counts.total() else " of the latest sweep"
    done = f"{summary.over} of {summary.planned} runs{which} done"
    return [Text(done if is_over else f"{done}, {_left(summary)}")]


def _left(summary: Summary) -> str:
    if not summary.estimate.at_once:
        return "nothing is running" if summary.over else "nothing is running yet"
    seconds = summary.estimate.seconds_left
    return "time left not known yet" if seconds is None else f"{about(seconds)} left"


def _pace(summary: Summary) -> list[Text]:
    estimate = summary.estimate
    if estimate.seconds_each is None:
        return []
    if not estimate.at_once:
        return [Text(f"a run takes {about(estimate.seconds_each)}")]
    every = f", {duration(estimate.seconds_each / estimate.at_once)} per run" if estimate.at_once > 1 else ""
    return [Text(f"{estimate.at_once} at a time, {about(estimate.seconds_each)} each{every}")]


def _table(setting: Setting, rows: list[Row], width: int) -> Group:
    """One row per initializer; a column for each status that runs of this setting have, as far as `width` allows."""
    # No column for waiting runs: for most of them only the name of the folder is known.
    found = [status for status in STYLES if status != WAITING and any(row.counts[status] for row in setting.rows)]
    heads = ["val median", "val best", *found]
    for spare in ("interrupted", "refused", "running"):  # the totals have them, too
        if sum(max(6, len(head)) + 3 for head in heads) + _NARROWEST_INIT > width and spare in heads:
            heads.remove(spare)
    table = Table()
    table.add_column("init")  # gets what the others leave
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        counts = (str(row.counts[status] or "") for status in heads[2:])
        table.add_row(Text(row.init), _value(row.median, row.metric), _value(row.best, row.metric), *counts)
    return Group(Text(setting.title, "table.title"), Fitting(table))


def _running(runs: list[RunFacts], now: float) -> Fitting:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("[not dim cyan]running[/]")
    for head in ("since", "for", "step"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for run in runs:
        since, so_far = (clock(run.since, now), duration(now - run.since)) if run.since is not None else ("-", "-")
        steps = f"{run.step:.0f}" if run.step is not None else "-"
        if run.total_steps:
            steps += f" of {run.total_steps:.0f}"
        elsewhere = f"on {escape(run.host)}" if run.host not in (None, platform.node()) else ""
        table.add_row(Text(run.name), since, so_far, steps, elsewhere)
    return Fitting(table)


def _race(race: Race) -> Group:
    """Who is in a race, how far behind the best, and how far behind would be out; then what it has saved."""
    if race.is_over or not race.seeds:
        return Group(_state_of(race))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    where = f" on {escape(race.workload)}" if race.workload else ""
    table.add_column(f"[not dim cyan]in the race{where} after {count(race.seeds, 'seed')}[/]")
    table.add_column("behind the best by", justify="right", no_wrap=True)
    table.add_column("drops out at", justify="right", no_wrap=True)
    for init in race.inside:
        table.add_row(Text(init), *race.leads.get(init, ("best" if init == race.best else "", "")))
    return Group(Fitting(table), _state_of(race))


def _state_of(race: Race) -> Text:
    name = f"race on {race.workload}" if race.workload else "race"
    if not race.seeds:
        why = (
            "there is none, as fewer than two initializers can take part"
            if race.is_over
            else ("nothing is decided before the first round has ended")
        )
        return Text(f"{name}: {why}", "dim")
    out = ", ".join(f"{init} after {seeds}" for init, seeds in race.out.items())
    saved = f"; {count(race.saved, 'run')} saved" if race.saved else ""
    inside = f"over after {race.seeds} seeds; left: {', '.join(race.inside)}"
    if not race.is_over:
        inside = f"{len(race.inside)} of {len(race.inside) + len(race.out)} are in"
    return Text(f"{name}: {inside}" + (f"; out: {out}" if out else "") + saved)


def _troubles(troubles: list[Trouble]) -> Group:
    """Why runs failed or were refused: each reason once, with a folder that has more about it."""
    lines = []
    for trouble in troubles[:_MOST_TROUBLES]:
        number, style = len(trouble.folders), STYLES[trouble.status]
        head = Text(f"{number} {trouble.status}: ", style)
        lines += [
            head + Text(trouble.reason),
            Text(f"  {visible(trouble.folders[0])}" + (" ..." if number > 1 else ""), "dim"),
        ]
    left_out = len(troubles) - _MOST_TROUBLES
    if left_out > 0:
        lines.append(Text(f"and {count(left_out, 'more reason')}", "dim"))
    lines.append(Text("see record.json in these folders for the full reasons", "dim"))
    return Group(*lines)


def clock(time: float, now: float) -> str:
    """The local time of day, with the date if that is not today."""
    here = datetime.fromtimestamp(time)
    today = here.date() == datetime.fromtimestamp(now).date()
    return f"{here:%H:%M:%S}" if today else f"{here:%d %b %H:%M}"


def _value(value: float | None, metric: Metric | None) -> str:
    return "-" if value is None or metric is None else metric.cell(metric.sign * value)
