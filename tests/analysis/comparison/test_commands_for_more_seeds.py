"""The commands that would settle an open question: how little of what was typed they change, and what they leave."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import frame, record
from hydra.core.override_parser.overrides_parser import OverridesParser
from open_questions import TYPED, following, study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.studies import load_studies
from initbench.record.store import write_record


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
