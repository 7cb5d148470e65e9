"""`python -m initbench.attribution`: trains the arms of a design, then says which part makes the difference.

The arms are trained by a sweep, `python -m initbench -m`, whose line is what was typed and the `init.from_b=` of each
arm. A command that is typed again runs only what is missing.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.attribution.design import Design, design
from initbench.command_line import run
from initbench.config.own_sweep import first_job, parsed, sweep
from initbench.console import console
from initbench.fitting import Fitting
from initbench.masking import hide_all
from initbench.record.plain import PlainConfig
from initbench.wording import count, visible

HELP = """\
Which part of an initializer makes the difference to another one?

python -m initbench.attribution init.a=gpt2 init.b=nanochat 'init.parts=[qkv,head]' task=language_model model.tied=false

init.a, init.b    two initializers: names, or mappings such as {name: gpt2, std: 0.01}
init.parts        the parts of the model that are drawn by b in some arms, and by a in the others
seed              the seeds of every arm; as many as the tests need, and at least ten, if it is not given
arms              16: fewer arms for 6 to 8 parts, which cannot tell all pairs of parts apart

Everything else is an override, as for a single run. dry_run=true says what would run. The page is
<runs_dir>/<study>/report/attribution.html.
"""
_LEAST_SEEDS = 10  # unless others are typed
# What would make several workloads of one, or choose something for each arm by itself.
_REFUSED = {
    "tuning": "compares at one learning rate: it cannot be tuned for each arm",
    "until": "trains every arm with the same seeds: until= is not for it",
}


def main(arguments: list[str]) -> None:
    """Train what is missing and print the result. Raises ValueError for what cannot be asked."""
    if {"-h", "--help"} & {*arguments}:
        print(HELP)
        return
    typed, arms = _typed(arguments)
    config = _composed([each for each in typed if each.get_key_element() != "seed"])
    plan = design(config["init"]["parts"], arms)
    line = [str(override.input_line) for override in typed] + [f"init.from_b={','.join(map(_listed, plan.arms))}"]
    least, seeds = least_seeds(plan), [override for override in typed if override.get_key_element() == "seed"]
    if not seeds:
        line.append(f"seed=range({max(_LEAST_SEEDS, least)})")
    elif (number := len([*seeds[-1].sweep_string_iterator()]) if seeds[-1].is_sweep_override() else 1) < least:
        console.print(f"{count(number, 'seed')} cannot show anything: it takes {least} or more", soft_wrap=True)
    code = sweep(line)
    if code not in (0, 1):  # 1: some runs failed
        sys.exit(code)
    if config["dry_run"]:
        _print_design(plan)
        return
    _report(config, plan, shlex.join(["python", "-m", "initbench.attribution", *hide_all(arguments)]))
    if code:
        sys.exit(code)


def _typed(arguments: Sequence[str]) -> tuple[list[Override], int | None]:
    """The overrides that were typed, init=between added, and how many arms were asked for."""
    if options := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"attribution takes overrides, name=value, and no {options[0]}")
    typed = parsed(arguments)
    arms = [override for override in typed if override.get_key_element() == "arms"]
    typed = [override for override in typed if override not in arms]
    for override in typed:
        key = override.get_key_element()
        if key == "init.from_b":
            raise ValueError("init.from_b is what attribution varies: leave it out")
        if key.startswith("seeds."):
            raise ValueError(f"{key} sets a source of randomness apart; attribution takes seed= alone")
        if key == "init" and override.value() != "between":
            raise ValueError(f"{override.input_line}: attribution is between two initializers, init.a= and init.b=")
        if override.is_sweep_override() and key != "seed":
            raise ValueError(
                f"{override.input_line} has several values, and attribution is for one workload: type it once for each"
            )
    if not any(override.get_key_element() == "init" for override in typed):
        typed = [*parsed(["init=between"]), *typed]
    if not arms:
        return typed, None
    if not isinstance(number := arms[-1].value(), int):
        raise ValueError(f"arms must be a whole number, got {number!r}")
    return typed, number


def _composed(typed: Sequence[Override]) -> PlainConfig:
    """The config of the arm in which a draws everything. Raises ValueError unless it can be run."""
    config, master = first_job(typed)
    for key, why in _REFUSED.items():
        if config[key] is not None:
            raise ValueError(f"attribution {why}")
    params: Any = master.hydra.sweeper.get("params")
    if params:
        raise ValueError(f"this study sweeps over {', '.join(params)}, and attribution is for one workload")
    return config


def _listed(parts: Sequence[str]) -> str:
    return f"[{','.join(parts)}]"


def least_seeds(plan: Design) -> int:
    """The fewest seeds with which a design can show anything."""
    from initbench.analysis.statistics.sign_flips import seeds_for_flips

    return seeds_for_flips(1 + len(plan.groups))


def _print_design(plan: Design) -> None:
    from initbench.attribution.write import described

    console.print(f"{described(plan)}; nothing can be shown with fewer than {least_seeds(plan)} seeds", soft_wrap=True)
    for group in plan.groups:
        if len(group) > 1:
            console.print(f"not told apart: {' = '.join(map(plan.label, group))}", soft_wrap=True)


def _report(config: PlainConfig, plan: Design, command: str) -> None:
    """Print the effects and the sentences, and write the page."""
    from initbench.attribution.effects import Effects
    from initbench.attribution.smallest import smallest
    from initbench.attribution.study import read_runs
    from initbench.attribution.wording import Wording, rows
    from initbench.attribution.write import columns, facts, write
    from initbench.report import FOLDER

    study = Path(config["runs_dir"]) / config["study"]
    runs = read_runs(study, plan)
    effects = Effects(plan, runs.scores, runs.level)
    small = smallest(effects)
    a, b = (_name(config["init"][key]) for key in ("a", "b"))
    sentences = list(Wording(effects, runs, small, a, b).all())
    table = Table(box=SIMPLE_HEAD, title=escape(f"{a} to {b}: {facts(effects)}"), title_justify="left")
    for place, name in enumerate(columns(runs, b)):
        table.add_column(escape(name), justify="right" if place else "left")
    for cells in rows(effects.table, runs.metric):
        table.add_row(*map(escape, cells))
    console.print(Fitting(table))
    for sentence in sentences:
        console.print(visible(str(sentence)), markup=False, soft_wrap=True)
    page = write(study / FOLDER, f"{study.name}: {a} to {b}", effects, runs, small, sentences, (a, b), command)
    console.print(visible(f"Attribution: {page}"), soft_wrap=True, markup=False)


def _name(spec: Any) -> str:
    """What an initializer is called: its name, with what differs from its file."""
    from initbench.record.signature import init_label

    return spec if isinstance(spec, str) else init_label({"name": spec.get("name", spec.get("_target_")), **spec})


if __name__ == "__main__":
    run(main)
