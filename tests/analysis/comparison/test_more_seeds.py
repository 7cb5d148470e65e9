"""What would settle an open question: seeds, runs, time, and a command that can be typed."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import frame, record
from hydra.core.override_parser.overrides_parser import OverridesParser

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import MoreSeeds, more_seeds, seconds_per_run, seeds_for, seeds_to_tell
from initbench.analysis.loading.studies import load_studies
from initbench.analysis.statistics.power import seeds_needed, spread
from initbench.record.store import write_record

TYPED = "python -m initbench -m init=a,b,c model=mlp seed=0,1,2,3,4,5,6,7"


def study(
    command: str = TYPED,
    means: tuple[float, ...] = (0.9, 0.895, 0.5),
    seeds: Iterable[int] = range(8),
    margin: float | None = None,
    reference: str | None = None,
) -> Comparison:
    rng = np.random.default_rng(10)
    rows = [
        record(init, seed, mean + 0.008 * rng.standard_normal(), provenance={"command": command})
        for init, mean in zip("abc", means, strict=False)
        for seed in seeds
    ]
    return Comparison(frame(*rows), margin=margin, reference=reference)


def following(comparison: Comparison) -> MoreSeeds:
    found = comparison.more_seeds[0]
    assert found is not None
    return found


def test_more_seeds_of_those_that_are_open() -> None:
    found = following(study())
    assert found.more == found.seeds - 8 > 0
    assert found.runs == 2 * found.more  # c is beaten, and needs no more
    (command,) = found.commands
    assert shlex.split(command) == shlex.split(f"python -m initbench -m model=mlp init=a,b 'seed=range({found.seeds})'")


def test_what_matters_decides_how_many() -> None:
    """A small difference that nobody needs is not to be shown: seeds for the margin are enough."""
    means = (0.9, 0.898, 0.5)
    needed = [following(study(means=means, margin=margin)).seeds for margin in (0.3, 0.5, 0.8)]
    assert needed == sorted(needed, reverse=True)
    assert needed[0] > needed[-1]


def test_a_margin_of_one_is_a_point_and_others_are_points() -> None:
    assert [study(margin=margin).margin_text for margin in (0.5, 1, 2)] == ["0.5 points", "1 point", "2 points"]


def test_a_reference_that_is_compared_with_more_initializers_needs_more_seeds() -> None:
    """The level is shared out over its comparisons; without a reference the leader alone has to be better."""
    few, many = (0.9, 0.895), (0.9, 0.895, 0.5)
    with_reference = [following(study(means=means, reference="a")).seeds for means in (few, many)]
    without = [following(study(means=means)).seeds for means in (few, many)]
    assert without[0] == without[1] == with_reference[0] < with_reference[1]


def test_seeds_for_the_margin_that_are_there_already_are_not_asked_for_again() -> None:
    main = study(margin=0.9).main
    assert main is not None
    assert main.open == ["b"]
    needed = seeds_to_tell(main, "b")
    assert needed is not None
    assert needed[0] > 8


def test_a_winner_leaves_nothing_to_settle() -> None:
    main = study(means=(0.9, 0.8, 0.5)).main
    assert main is not None
    assert more_seeds(main) is None


@pytest.mark.parametrize(
    "typed, expected",
    [
        ("python -m initbench experiment=quickstart", "python -m initbench experiment=quickstart init=a,b seed={}"),
        (
            "python -m initbench -m init=a,b,c model=mlp until=sure race.level=0.1",
            "python -m initbench -m model=mlp init=a,b seed={}",
        ),
        ("python -m initbench init=a model=mlp -m force=true", "python -m initbench model=mlp -m init=a,b seed={}"),
        ("python /venv/bin/initbench init=a,b,c -m", "python -m initbench -m init=a,b seed={}"),
        ("python -m initbench init=a", "python -m initbench -m init=a,b seed={}"),
        (
            "python -m initbench -m init=orthogonal init.gain=1,2",
            "python -m initbench -m init=orthogonal init.gain=1,2 seed={}",
        ),
        ("python mine.py", None),
    ],
)
def test_commands_are_changed_as_little_as_can_be(typed: str, expected: str | None) -> None:
    found = following(study(typed))
    wanted = () if expected is None else (shlex.split(expected.format(f"range({found.seeds})")),)
    assert tuple(map(shlex.split, found.commands)) == wanted


@pytest.mark.parametrize("typed", ["", " report.margin=1 report.reference=c"])
def test_commands_are_judged_as_the_verdict_was(typed: str) -> None:
    """By what was asked for when the report was written, not by what the runs were recorded with."""
    (command,) = following(study(TYPED + typed, margin=0.87654321, reference="a")).commands
    said = [word for word in shlex.split(command) if word.startswith("report.")]
    assert said == ["report.margin=0.87654321", "report.reference=a"]


def test_the_reference_is_kept_where_it_did_not_run() -> None:
    """The plan of the next sweep is that of the whole study."""
    close = study(TYPED, means=(0.9, 0.895, 0.893)).runs
    elsewhere = close[close["init"] != "a"].assign(workload="another", workload_id="another")
    comparison = Comparison(pd.concat([close, elsewhere]), reference="a")
    found = zip(comparison.scopes, comparison.more_seeds, strict=True)
    (without,) = (more for scope, more in found if "a" not in scope.inits)
    assert without is not None
    assert all("report.reference=a" in shlex.split(command) for command in without.commands)
    assert without.commands


def test_a_reference_with_parentheses_is_quoted_for_hydra() -> None:
    runs = study().runs.replace({"init": {"a": "normal(std=0.1)"}})
    command = following(Comparison(runs, reference="normal(std=0.1)")).commands[0]
    (word,) = (word for word in shlex.split(command) if word.startswith("report."))
    (override,) = OverridesParser.create().parse_overrides([word])
    assert override.value() == "normal(std=0.1)"


def test_seeds_that_do_not_begin_at_0() -> None:
    found = following(study(seeds=range(50, 58)))
    (command,) = found.commands
    (typed,) = (word for word in shlex.split(command) if word.startswith("seed="))
    assert [*map(int, typed.removeprefix("seed=").split(","))] == [*range(found.more), *range(50, 58)]


def test_runs_that_are_there_are_not_counted_again() -> None:
    """b has two seeds more than a: these are not to be run."""
    rng = np.random.default_rng(1)
    rows = [
        record(init, seed, mean + 0.01 * rng.standard_normal(), provenance={"command": TYPED})
        for init, mean, seeds in (("a", 0.9, 8), ("b", 0.895, 10), ("c", 0.5, 8))
        for seed in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.inits == ("b",)
    present = {"a": 8, "b": 10, "c": 8}
    assert found.runs == sum(found.seeds - present[init] for init in found.swept)
    assert found.more == found.seeds - 8


def test_runs_that_failed_are_to_be_run_again() -> None:
    rng = np.random.default_rng(1)
    rows = [
        record(init, n, mean + 0.01 * rng.standard_normal(), status="failed" if init == "b" and n > 2 else "finished")
        for init, mean in (("a", 0.9), ("b", 0.895))
        for n in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.runs == 2 * found.seeds - 8 - 3


def test_seeds_are_those_that_the_two_share() -> None:
    """c lacks seeds, which is not for a and b to make up for."""
    rng = np.random.default_rng(1)
    rows = [
        record(init, n, mean + 0.01 * rng.standard_normal())
        for init, mean, seeds in (("a", 0.9, 12), ("b", 0.899, 12), ("c", 0.5, 8))
        for n in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    present = {"a": 12, "b": 12, "c": 8}
    runs = sum(found.seeds - present[init] for init in found.swept)
    assert (found.inits, found.more, found.runs) == (("b",), found.seeds - 12, runs)


@pytest.mark.parametrize("noise, swept", [(0.008, ("a", "b")), (0.012, ("a", "b", "c"))])
def test_what_is_typed_leaves_all_comparable(noise: float, swept: tuple[str, ...]) -> None:
    """c needs no more seeds, unless it would have too few in common with the others."""
    rng = np.random.default_rng(10)

    def runs(seeds: dict[str, int]) -> list[dict[str, object]]:
        means = {"a": 0.9, "b": 0.895, "c": 0.5}
        return [record(i, n, means[i] + noise * rng.standard_normal()) for i in means for n in range(seeds[i])]

    found = following(Comparison(frame(*runs(dict.fromkeys("abc", 8)))))
    assert found.swept == swept
    after = Comparison(frame(*runs({init: found.seeds if init in swept else 8 for init in "abc"})))
    assert [scope.inits for scope in after.scopes] == [("a", "b", "c")]
    assert after.left_out == []


@pytest.mark.parametrize("lr", [0.1, None])
def test_a_command_that_another_covers_is_not_to_be_typed(lr: float | None) -> None:
    rng = np.random.default_rng(1)
    rows = [
        record(
            init,
            n,
            mean + 0.01 * rng.standard_normal(),
            lr=lr,
            model={"depth": depth},
            provenance={"command": f"python -m initbench -m init=a,b seed=range(8) model.depth={depths}"},
        )
        for init, mean in (("a", 0.9), ("b", 0.895))
        for n in range(8)
        for depth in (1, 2)
        for depths in (["1"] if depth == 1 and n < 3 else ["1,2"])
    ]
    (command,) = following(Comparison(frame(*rows).astype({"lr": float}))).commands
    assert "model.depth=1,2" in command


def test_each_command_of_initializers_that_cannot_be_named_is_to_be_typed() -> None:
    own, others = (f"python -m initbench -m init{of} seed=range(8)" for of in ("._target_=mine.sign_", "=a,b"))
    rng = np.random.default_rng(1)
    rows = [
        record(init, seed, mean + 0.01 * rng.standard_normal(), provenance={"command": command})
        for init, mean, command in (("mine.sign_", 0.9, own), ("a", 0.895, others), ("b", 0.894, others))
        for seed in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    wanted = [command.replace("range(8)", f"range({found.seeds})") for command in (own, others)]
    assert list(map(shlex.split, found.commands)) == list(map(shlex.split, wanted))


@pytest.mark.parametrize("own", ["--config-dir mine init=mine", "init._target_=mine.sign_"])
def test_a_command_names_only_those_of_its_initializers_that_need_seeds(own: str) -> None:
    """`mine` is not an option of the other command."""
    own, others = (f"python -m initbench -m {of} model=mlp seed=range(8)" for of in (own, "init=a,b,c"))
    name = "mine" if "init=mine" in own else "mine.sign_"
    rng = np.random.default_rng(1)
    rows = [
        record(init, seed, mean + 0.005 * rng.standard_normal(), provenance={"command": command})
        for init, mean, command in ((name, 0.9, own), ("a", 0.897, others), ("b", 0.5, others), ("c", 0.4, others))
        for seed in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.swept == (name, "a")
    assert found.runs == 2 * (found.seeds - 8)
    words = [sorted(shlex.split(command.replace(f"range({found.seeds})", "range(8)"))) for command in found.commands]
    assert words == [sorted(shlex.split(own)), sorted(shlex.split(others.replace("a,b,c", "a")))]


def test_runs_that_a_command_cannot_leave_out_are_counted() -> None:
    command = "python -m initbench -m init=normal init.std=0.1,0.2,0.3 model=mlp seed=range(8)"
    rng = np.random.default_rng(1)
    rows = [
        record(f"normal(std={std})", seed, mean + 0.005 * rng.standard_normal(), provenance={"command": command})
        for std, mean in ((0.1, 0.9), (0.2, 0.897), (0.3, 0.5))
        for seed in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.inits == ("normal(std=0.2)",)
    assert set(found.swept) == {f"normal(std={std})" for std in (0.1, 0.2, 0.3)}
    assert found.runs == 3 * (found.seeds - 8)


def test_two_sweeps_that_cannot_be_one_are_both_to_be_typed() -> None:
    """Every initializer that needs seeds is in one of the commands."""
    rng = np.random.default_rng(1)
    keys, plain = (
        f"python -m initbench -m init={of} seed=range(8) study=study"
        for of in ("kaiming_normal init.mode=fan_in,fan_out", "default,orthogonal")
    )
    typed = {"kaiming_normal": keys, "kaiming_normal(mode=fan_out)": keys, "orthogonal": plain, "default": plain}
    rows = [
        record(init, seed, 0.9 + 0.01 * rng.standard_normal(), provenance={"command": command})
        for init, command in typed.items()
        for seed in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    assert set(found.swept) == set(typed)
    assert found.runs == 4 * (found.seeds - 8)
    words = [set(shlex.split(command)) for command in found.commands]
    wanted = [set(shlex.split(of.replace("range(8)", f"range({found.seeds})"))) for of in (keys, plain)]
    assert words == wanted


@pytest.mark.parametrize(
    "typed, folder, expected",
    [
        ("study=mine", "runs/mine", "study=mine"),
        ("study=mine", "runs/both", "study=both"),
        ("study=a/mine", "runs/a/mine", "study=a/mine"),
        ("study=mine runs_dir=results", "results/both", "runs_dir=results study=both"),
        ("", "runs/mine", ""),
        ("", "runs/both", "study=both"),
        ("study=mine", "shared/it", "study=it runs_dir={cwd}/shared"),
    ],
)
def test_the_study_of_a_command_is_the_folder_that_the_runs_are_in(
    typed: str, folder: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    comparison = study(f"python -m initbench -m init=a,b,c {typed}")
    recorded = typed.partition(" ")[0].removeprefix("study=") or "mine"
    paths = [f"{folder}/{number}" for number in range(len(comparison.runs))]
    runs = comparison.runs.assign(path=paths, study=recorded)
    found = following(Comparison(runs))
    wanted = f"python -m initbench -m {expected.format(cwd=tmp_path)} init=a,b seed=range({found.seeds})"
    assert [*map(shlex.split, found.commands)] == [shlex.split(wanted)]


def test_a_report_names_the_folder_of_runs_that_were_moved_into_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs were recorded as those of two studies; neither command says which."""
    monkeypatch.chdir(tmp_path)
    runs = study().runs
    for init, of in (("a", "mine"), ("b", "theirs"), ("c", "theirs")):
        for seed, score in runs.loc[runs["init"] == init, ["seed", "score"]].itertuples(index=False):
            made = record(init, int(seed), float(score), provenance={"command": TYPED})
            write_record(tmp_path / f"runs/both/{init}{seed}", {**made, "study": of})
    found = following(Comparison(load_studies([Path("runs/both")])))
    assert [word for command in found.commands for word in shlex.split(command) if "study" in word] == ["study=both"]


def test_records_that_are_dated_in_seconds_do_not_time_runs_of_milliseconds() -> None:
    rows = [record("a", seed, **times("00:00:00", "00:00:01")) for seed in range(100)]
    assert seconds_per_run(frame(*rows)) is None


def times(started: str, finished: str, **parts: Any) -> dict[str, Any]:
    return {"started_at": f"2026-01-01T{started}+00:00", "finished_at": f"2026-01-01T{finished}+00:00", **parts}


def test_the_machine_is_busy_while_any_run_is() -> None:
    together = [times("00:00:00", "00:00:10"), times("00:00:02", "00:00:12"), times("01:00:00", "01:00:06")]
    runs = frame(*(record("a", seed, **of) for seed, of in enumerate(together)))
    assert seconds_per_run(runs) == pytest.approx((12 + 6) / 3)


def test_machines_are_busy_side_by_side_and_runs_that_lay_for_days_do_not_count() -> None:
    rows = [
        record("a", 0, **times("00:00:00", "00:00:10", provenance={"hostname": "x"})),
        record("a", 1, **times("00:00:00", "00:00:20", provenance={"hostname": "y"})),
        record("a", 2, **times("00:00:00", "09:00:00", resumed_at=["then"])),
        record("a", 3, status="failed", **times("00:00:00", "09:00:00")),
    ]
    assert seconds_per_run(frame(*rows)) == pytest.approx(15)
    assert seconds_per_run(frame(record("a", 0, status="failed"))) is None


def test_several_open_questions_are_answered_with_eighty_percent_together() -> None:
    for means, power in (((0.9, 0.897), 0.8), ((0.9, 0.897, 0.896), 0.9)):
        main = study(means=means).main
        assert main is not None
        assert len(main.open) == len(means) - 1
        for init in main.open:
            seen = abs(float(main.rivals.at[init, "difference"]))
            assert seeds_to_tell(main, init) == (seeds_for(main, init, seen, power), seen)


def test_seeds_are_those_of_the_next_look() -> None:
    main = study().main
    assert main is not None
    now, next_look = (seeds_for(replace(main, next_level=level), "b", 0.005) for level in (0.05, 0.025))
    assert now is not None
    assert next_look is not None
    assert now < next_look


def test_seeds_that_chose_a_rate_are_not_scored() -> None:
    rows = [
        record(init, seed, mean + noise * (-1) ** seed, tuning=(8, 10), provenance={"command": TYPED})
        for init, mean, noise in (("a", 0.9, 0.008), ("b", 0.895, -0.008))
        for seed in (*range(8), 8, 10)
    ]
    (command,) = following(Comparison(frame(*rows))).commands
    (seeds,) = [word.removeprefix("seed=") for word in shlex.split(command) if word.startswith("seed=")]
    assert seeds.startswith("0,1,2,3,4,5,6,7,9,11,12,")


def open_pair(seeds: int) -> Findings:
    """Eight seeds of three, and such a level of the next look that the open lead takes so many."""
    main = study(means=(0.9, 0.897, 0.5)).main
    assert main is not None
    assert main.open == ["b"]
    of_seed, seen = spread(main.scores["a"] - main.scores["b"]), float(main.rivals.at["b", "difference"])
    levels = np.geomspace(0.9, 1e-4, 1000).tolist()
    return replace(main, next_level=next(level for level in levels if seeds_needed(seen, of_seed, level) == seeds))


@pytest.mark.parametrize("seeds", [8, 9])
def test_as_many_seeds_as_are_needed_are_enough(seeds: int) -> None:
    """With the eight that are there, no more are asked for."""
    main = open_pair(seeds)
    seen = float(main.rivals.at["b", "difference"])
    assert seeds_for(main, "b", seen) == seeds
    assert seeds_to_tell(main, "b") == (None if seeds == 8 else (9, seen))


@pytest.mark.parametrize("seeds, swept", [(16, ("a", "b")), (17, ("a", "b", "c"))])
def test_the_others_get_seeds_only_where_they_would_share_too_few(seeds: int, swept: tuple[str, ...]) -> None:
    """Half of the seeds are enough to be compared: 8 of 16, but not of 17."""
    found = more_seeds(open_pair(seeds))
    assert found is not None
    assert (found.seeds, found.swept) == (seeds, swept)


def test_one_that_is_run_again_with_more_seeds_than_needed_takes_no_runs_away() -> None:
    """The command cannot leave out the third, which has all the seeds already."""
    command = "python -m initbench -m init=normal init.std=0.1,0.2,0.3 model=mlp seed=range(8)"
    rng = np.random.default_rng(1)
    rows = [
        record(f"normal(std={std})", seed, mean + 0.005 * rng.standard_normal(), provenance={"command": command})
        for std, mean, seeds in ((0.1, 0.9, 8), (0.2, 0.897, 8), (0.3, 0.5, 200))
        for seed in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.seeds < 200
    assert set(found.swept) == {f"normal(std={std})" for std in (0.1, 0.2, 0.3)}
    assert found.runs == 2 * (found.seeds - 8)
