"""The commands that give initializers more seeds, from those that made their runs."""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

# Words that a command which adds seeds leaves out; a race (until=sure) allows no seeds to be named.
# The margin and the reference are those of the verdict: see `judged_by`.
_NOT_AGAIN = ("seed=", "dry_run=", "force=", "until=", "race.", "report.")


def judged_by(margin: float | None, reference: str | None) -> list[str]:
    """The words of a command whose verdict has this margin, as a user types it, and this reference."""
    words = [] if margin is None else [f"report.margin={margin}"]
    if reference is None:
        return words
    if not reference.isidentifier():
        from initbench.config.typed import quoted  # imports Hydra, which few names need

        reference = quoted(reference)
    return [*words, f"report.reference={reference}"]


class _Command(NamedTuple):
    """The words of a command that adds seeds but for the seeds and, if it can name initializers, `init=`."""

    words: tuple[str, ...]
    can_name: bool


def commands_for(
    runs: pd.DataFrame, seeds: set[int], inits: list[str], judged: list[str]
) -> tuple[list[str], set[str]]:
    """The commands that made the runs of `inits`, with these seeds, and the initializers that they train.

    A command names these alone; if it cannot, it trains all of its own again. Two that differ in nothing but the names
    of initializers are one.
    """
    trains: dict[_Command, set[tuple[Any, ...]]] = {}  # workload, learning rate, initializer
    recorded = runs["recorded_study"] if "recorded_study" in runs else runs["study"]
    for (typed, path, study), of in runs.groupby(["command", runs["path"].map(_folder), recorded], sort=False):
        words, own = shlex.split(str(typed)), {*inits} & {*of["init"]}
        if _program(words) is None or not own:
            continue
        can_name = _can_name(words, own)
        again = _again(_into(words, Path(path), study), with_init=not can_name)
        trained = of[of["init"].isin(own)] if can_name else of
        rates = trained["lr"].astype(str)  # as NaN, which runs without a rate have, is not equal to itself
        cells = trains.setdefault(_Command(tuple(again), can_name), set())
        cells.update(zip(trained["workload"], rates, trained["init"], strict=True))
    needed: set[tuple[Any, ...]] = set()
    for command in sorted(trains, key=lambda command: -len(trains[command])):
        if trains[command] <= needed:
            del trains[command]
        else:
            needed |= trains[command]
    lines = []
    for command, cells in trains.items():
        names = {init for *_, init in cells}
        named = [f"init={','.join(init for init in inits if init in names)}"] if command.can_name else []
        words = [*command.words, *named, *judged, f"seed={_choice(seeds)}"]
        lines.append(shlex.join(["python", "-m", "initbench", *words]))
    return lines, {init for *_, init in needed}


def _folder(path: str | None) -> str | None:
    """The folder of the study of a run; None for a run from elsewhere."""
    return str(Path(path).parent.absolute()) if isinstance(path, str) else None


def _into(words: list[str], folder: Path, study: str) -> list[str]:
    """A command for the study in `folder`, to which the runs may have been moved since they were recorded."""
    name = Path(study).parts
    if folder.parts[len(folder.parts) - len(name) :] == name:
        return words
    runs_dir = next((word.partition("=")[2] for word in words if word.startswith("runs_dir=")), "runs")
    is_beside = folder.parent.resolve() == Path(runs_dir).resolve()
    kept = [word for word in words if not word.startswith(("study=",) if is_beside else ("study=", "runs_dir="))]
    return [*kept, f"study={folder.name}", *([] if is_beside else [f"runs_dir={folder.parent}"])]


def _program(words: list[str]) -> int | None:
    """The position of `initbench` in a command, `python -m initbench ...` or the script; None if it is another."""
    return next((place for place, word in enumerate(words[:3]) if Path(word).name == "initbench"), None)


def _can_name(words: list[str], inits: set[str]) -> bool:
    """Whether `init=` of a command can be changed to these: all are plain options, and none has keys of its own."""
    return all(re.fullmatch(r"\w+", init) for init in inits) and not any(word.startswith("init.") for word in words)


def _again(words: list[str], *, with_init: bool) -> list[str]:
    """The words of a command that one which adds seeds has, too."""
    typed = [word for word in words[(_program(words) or 0) + 1 :] if not word.startswith(_NOT_AGAIN)]
    typed = [word for word in typed if with_init or not word.startswith("init=")]
    is_study = any(word.startswith("experiment=") for word in typed)
    return typed if is_study or {"-m", "--multirun"} & set(typed) else ["-m", *typed]


def _choice(seeds: set[int]) -> str:
    """Seeds as a command-line choice."""
    first, last = min(seeds), max(seeds)
    if last - first + 1 != len(seeds):
        return ",".join(map(str, sorted(seeds)))
    return f"range({last + 1})" if first == 0 else f"range({first},{last + 1})"
