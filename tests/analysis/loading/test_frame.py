"""Records as a frame."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by, load_history, load_runs, with_failures
from initbench.metric import ACCURACY, Metric
from initbench.record.store import Store


def test_a_record_of_each_status_is_a_row(small: Any, tmp_path: Path) -> None:
    for seed, status in enumerate(("finished", "diverged", "failed", "running")):
        Store(small(f"seed={seed}", f"study=deep/{status}")).write(status)
    frame = load_runs(tmp_path)
    assert sorted(frame["status"]) == ["diverged", "failed", "finished", "running"]
    assert sorted(frame["seed"]) == [0, 1, 2, 3]
    assert frame["lr"].tolist() == [small()["optimizer"]["lr"]] * 4
    assert all(Path(path).is_dir() for path in frame["path"])


def test_a_list_where_one_value_belongs_stops_no_other_run(small: Any, tmp_path: Path) -> None:
    """Its run is refused; the study is compared as if there were none of it."""
    for seed in (0, 1):
        Store(small(f"seed={seed}")).write("finished", results={"test/accuracy": 0.5, "val/accuracy": 0.5})
    for typed in ("seed=[0,1]", "optimizer.lr=[0.1,0.2]", "model.name=[a]"):
        Store(small(typed)).write("refused", reason=typed)
    frame = load_runs(tmp_path)
    assert {"[0, 1]", 0} <= set(frame["seed"])
    (ranking,) = [one for one in Comparison(frame).rankings if one.workload.startswith("mlp")]
    assert len(ranking.table) == 1


def test_versions_of_ones_own_code_are_told_apart(small: Any, tmp_path: Path) -> None:
    """Those of an initializer by its name, within a study; those of a model by the names of workloads."""
    for study, source in (
        ("one", {"init": "3fa2c1d0e5"}),
        ("two", {"init": "3fa2c1d0e5"}),
        ("two", {"init": "b90e77a412"}),
        ("two", {"init": "b90e77a412", "model": "00aa"}),
    ):
        Store({**small("init=eye", f"study={study}"), "source": source}).write("finished")
    Store(small("init=zeros", "study=two")).write("finished")
    frame = load_runs(tmp_path)
    found = {study: sorted(set(runs["init"])) for study, runs in frame.groupby("study")}
    assert found == {"one": ["eye"], "two": ["eye (source 3fa2c1)", "eye (source b90e77)", "zeros"]}
    workloads = frame.groupby("workload").size()
    assert list(workloads) == [4, 1]
    assert workloads.index[1].endswith(", source.model=00aa")


def test_seeds_that_chose_a_rate_in_one_study_are_scored_in_another() -> None:
    """Also where both are loaded at once, from the folder above them."""
    rows = [record("a", seed, 0.8, tuning=(7,)) for seed in (7, 0)]
    other = [{**record("a", seed, 0.7), "study": "other"} for seed in (7, 0)]
    for of in ([*rows, *other], [*other, *rows]):
        runs = frame(*of).set_index(["study", "seed"])
        assert runs["is_tuning"].to_dict() == {
            ("study", 7): True,
            ("study", 0): False,
            ("other", 7): False,
            ("other", 0): False,
        }
        assert runs["score"].isna().to_dict() == runs["is_tuning"].to_dict()


def test_an_empty_folder_is_an_empty_frame_with_columns(tmp_path: Path) -> None:
    assert load_runs(tmp_path).empty
    assert "status" in load_runs(tmp_path)
    assert load_history(tmp_path).empty


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        load_runs(tmp_path / "nowhere")


def test_a_run_that_diverged_before_its_first_evaluation_has_the_score_of_chance() -> None:
    """Its record says nothing of the number of classes; the other runs on the same data do."""
    early = {**record("b", 0, None, status="diverged", hits=(None, None)), "results": {}}
    late = record("b", 1, None, status="diverged", hits=(None, None))
    elsewhere = {**record("b", 2, None, status="diverged", hits=(None, None)), "results": {}}
    elsewhere["config"] = {**elsewhere["config"], "data": {"name": "unknown"}}
    runs = frame(record("a", 0, 0.9), early, late, elsewhere)
    for column in ("score", "selection_score"):
        assert runs[column].iloc[:3].tolist() == pytest.approx([0.9, 0.1, 0.1])
        assert math.isnan(runs[column].iloc[3])
    assert runs["learned"].tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "scores, chance, expected",
    [
        ([0.05, math.nan], 0.1, [0.05, 0.05]),  # chance is better than the worst score
        ([0.3, math.nan], 0.1, [0.3, 0.1]),
        ([0.3, math.nan], math.nan, [0.3, math.nan]),  # nothing is known about it
        ([math.nan, math.nan], 0.1, [0.1, 0.1]),
    ],
)
def test_an_initializer_without_a_score_has_chance_or_the_worst_score(
    scores: list[float], chance: float, expected: list[float]
) -> None:
    runs = pd.DataFrame({"init": ["a", "b"], "chance": chance})
    found = with_failures(pd.Series(scores), runs, pd.Series(["w", "w"]))
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


def test_runs_are_judged_by_the_metric_of_those_that_began_last() -> None:
    loss = Metric("loss", "loss", higher_is_better=False)
    days = ["2026-01-02", "2026-01-01", None]
    for metrics, expected in (([ACCURACY, loss, loss], ACCURACY), ([loss, ACCURACY, ACCURACY], loss)):
        assert judged_by(pd.DataFrame({"metric": metrics, "started_at": days})) == expected
    assert judged_by(pd.DataFrame({"metric": [None], "started_at": [None]})) == ACCURACY


def test_chance_where_it_is_not_known_is_the_largest_of_those_on_the_same_data() -> None:
    """10 classes in one record, 2 in another; neither order nor other data matters."""

    def of(init: str, classes: float | None, data: str = "mnist") -> dict[str, Any]:
        made = record(init, 0, None if classes is None else 0.9, status="diverged" if classes is None else "finished")
        made["config"] = {**made["config"], "data": {"name": data}}
        made["results"] = {} if classes is None else {**made["results"], "ln_classes": math.log(classes)}
        return made

    for rows in ([10, 2, None], [None, 2, 10], [2, None, 10]):
        runs = frame(*(of(f"i{place}", classes) for place, classes in enumerate(rows)), of("x", 1.5, "other"))
        assert runs["chance"].iloc[rows.index(None)] == pytest.approx(0.5)
        assert runs["chance"].iloc[rows.index(10)] == pytest.approx(0.1)
