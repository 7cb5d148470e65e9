"""The test samples of a workload's runs: which are read, and what comes of them in the verdict and the report."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import record
from studies import write_study

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.verdict import Verdict
from initbench.analysis.workload.new_data import NewData
from initbench.metric import ACCURACY, Metric
from initbench.report.content.workload_tables import new_data_table
from initbench.report.write import write_report

INITS = {"orthogonal": 0.95, "default": 0.9}
SEEDS, SAMPLES = 7, 400


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two initializers on one workload, whose runs are the luckier the better they are."""
    records = []
    rights = []
    rng = np.random.default_rng(0)
    for init, share in INITS.items():
        hard = np.linspace(-0.04, 0.04, SAMPLES)
        for seed in range(SEEDS):
            right = rng.random(SAMPLES) < share + hard
            rights.append(right)
            records.append(record(init, seed, float(right.mean())))
    write_study(tmp_path / "study", *records)
    for folder, right in zip(sorted((tmp_path / "study").iterdir()), rights, strict=True):
        keep(folder, right)
    return tmp_path / "study"


def keep(folder: Path, values: Any, name: str = "accuracy") -> None:
    pd.DataFrame({name: values}).to_parquet(folder / "test_samples.parquet")


def comparison_of(study: Path) -> Comparison:
    return Comparison(initbench.load_runs(study))


def folder_of(study: Path, init: str, seed: int) -> Path:
    runs = initbench.load_runs(study)
    return Path(runs[(runs["init"] == init) & (runs["seed"] == seed)]["path"].iloc[0])


def test_the_values_of_all_runs_are_read(study: Path) -> None:
    (found,) = comparison_of(study).new_data
    assert found.samples == SAMPLES
    assert {init: values.shape for init, values in found.values.items()} == dict.fromkeys(INITS, (SEEDS, SAMPLES))
    ranking = comparison_of(study).rankings[0].table
    assert found.means["mean"].to_dict() == pytest.approx(ranking["mean"].to_dict())
    pair = found.pairs.iloc[0]
    assert (pair["a"], pair["b"], pair["seeds"]) == ("orthogonal", "default", SEEDS)
    both = comparison_of(study).findings[0].pairs.iloc[0]
    assert pair[["difference", "low", "high"]].tolist() == pytest.approx(both[["difference", "low", "high"]].tolist())
    assert pair["new_low"] < pair["low"] < pair["high"] < pair["new_high"]


def test_the_verdict_has_one_more_sentence_and_the_others_stay(study: Path) -> None:
    verdict = Verdict(comparison_of(study))
    (noise,) = [sentence for sentence in verdict.sentences if sentence.kind == "noise"]
    assert noise.text.startswith("About ")
    assert "is due to the finite test set (400 samples; 95% interval " in noise.text
    assert "The mean of orthogonal is " in noise.text
    others = [sentence for sentence in verdict.sentences if sentence.kind != "noise"]
    for folder in study.iterdir():
        (folder / "test_samples.parquet").unlink()
    assert Verdict(comparison_of(study)).sentences == others


def test_squared_errors_have_no_interval_of_the_share(study: Path) -> None:
    """With few large errors it would be too short: see the simulated coverage in docs/explanation/comparison.md."""
    (found,) = comparison_of(study).new_data
    share, low, high = found.share
    assert low < share < high
    squared = replace(found, metric=Metric("mse", "test MSE", higher_is_better=False))
    assert squared.share[0] == share
    assert np.isnan(squared.share[1:]).all()


def without(folder: Path) -> None:
    (folder / "test_samples.parquet").unlink()


def damaged(folder: Path) -> None:
    (folder / "test_samples.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize("spoil", [without, damaged])
def test_an_initializer_with_a_run_without_values_is_left_out(spoil: Any, study: Path) -> None:
    spoil(folder_of(study, "orthogonal", 3))
    comparison = comparison_of(study)
    (found,) = comparison.new_data
    assert list(found.values) == ["default"]
    assert found.pairs.empty
    (noise,) = [sentence for sentence in Verdict(comparison).sentences if sentence.kind == "noise"]
    assert "The mean of default is " in noise.text


def test_test_sets_of_different_sizes_are_not_compared(study: Path) -> None:
    keep(folder_of(study, "default", 0), [True, False])
    (found,) = comparison_of(study).new_data
    assert list(found.values) == ["orthogonal"]
    for seed in range(1, SEEDS):
        keep(folder_of(study, "default", seed), [True, False])
    assert comparison_of(study).new_data == []


def test_stuck_runs_have_no_part_in_the_share(study: Path) -> None:
    """They predict one class, another with each seed."""
    stuck = [record("zeros", seed, 0.1) for seed in range(SEEDS)]
    write_study(study.parent / "stuck", *stuck)
    share = comparison_of(study).new_data[0].share
    for number, folder in enumerate(sorted((study.parent / "stuck").iterdir())):
        keep(folder, np.arange(SAMPLES) % 10 == number)
        folder.rename(study / f"stuck{number}")
    (found,) = comparison_of(study).new_data
    assert "zeros" in found.values
    assert found.share == pytest.approx(share)


def test_only_seeds_in_common_are_paired(study: Path) -> None:
    for seed in (0, 1):
        folder = folder_of(study, "default", seed)
        folder.rename(study.parent / folder.name)
    (found,) = comparison_of(study).new_data
    assert found.pairs["seeds"].tolist() == [SEEDS - 2]
    assert not np.isnan(found.share).any()


@pytest.mark.parametrize("is_share", [True, False])
def test_what_is_better_lower_is_turned_around(is_share: bool) -> None:
    """The error of what is right: the same intervals, mirrored."""
    rng = np.random.default_rng(0)
    right = (rng.random((5, 200)) < 0.9).astype(float)
    error = Metric("error", "test error", higher_is_better=False, is_share=is_share)
    seeds = {"one": list(range(5))}
    of_right = NewData("w", replace(ACCURACY, is_share=is_share), {"one": right}, seeds, frozenset(["one"])).means
    of_wrong = NewData("w", error, {"one": right - 1}, seeds, frozenset(["one"])).means
    pd.testing.assert_frame_equal(of_wrong, of_right - 1)


def test_leads_are_signed() -> None:
    rng = np.random.default_rng(0)
    values = {init: rng.normal(level, size=(4, 30)) for init, level in (("a", 0), ("b", 1), ("c", -1))}
    found = NewData("w", ACCURACY, values, {init: list(range(4)) for init in values}, frozenset(values))
    leads = found.leads("a")
    assert leads.loc["b", "difference"] < 0 < leads.loc["c", "difference"]
    for _, row in leads.iterrows():
        assert row["new_low"] <= row["low"] <= row["difference"] <= row["high"] <= row["new_high"]


def test_the_report_has_them_on_the_page_in_markdown_json_and_csv(study: Path) -> None:
    folder = study / "report"
    verdict = Verdict(comparison_of(study))
    write_report(verdict, folder, "study")
    page, markdown = ((folder / name).read_text() for name in ("index.html", "report.md"))
    for text in (page, markdown):
        assert "For new data" in text
        assert "95% interval, new samples" in text
    rows = pd.read_csv(folder / "new_data.csv")
    assert rows[["a", "b", "samples"]].values.tolist() == [["orthogonal", "default", SAMPLES]]
    (content,) = verdict.to_dict()["new_data"]
    assert content["share_low"] <= content["share"] <= content["share_high"]
    assert [row["init"] for row in content["means"]] == list(INITS)


def test_losses_are_told_with_their_unit_once(study: Path) -> None:
    nats = {"name": "loss", "label": "test loss", "higher_is_better": False, "is_share": False, "unit": "nats"}
    rng = np.random.default_rng(0)
    for folder in study.iterdir():
        content = json.loads((folder / "record.json").read_text())
        losses = rng.exponential(2, SAMPLES) + 0.01 * content["seed"]
        content["metric"] = {**nats, "perfect": None, "chance": None}
        content["results"] |= {"test/loss": losses.mean(), "val/loss": 1.0}
        (folder / "record.json").write_text(json.dumps(content))
        keep(folder, losses, "loss")
    runs = initbench.load_runs(study)
    (noise,) = [of for of in initbench.verdict(runs).sentences if of.kind == "noise"]
    assert re.search(
        r"is [\d.]+ to [\d.]+ nats for these samples, and [\d.]+ to [\d.]+ nats for new ones\.$", noise.text
    )


def test_the_table_has_means_and_leads_for_these_samples_and_for_new_ones(study: Path) -> None:
    comparison = comparison_of(study)
    (found,), (ranking,) = comparison.new_data, comparison.rankings
    (table,) = new_data_table(comparison, ranking)
    cells = {init: dict(zip(table.columns, of, strict=True)) for init, of in table.rows}
    best, other = INITS
    lead = found.leads(best).loc[other]
    these, new = f"95% interval, these {SAMPLES} samples", "95% interval, new samples"
    for init, mean in found.means.iterrows():
        assert cells[str(init)]["mean test accuracy"] == ACCURACY.cell(mean["mean"])
        assert cells[str(init)][these] == f"{mean['low']:.4f} to {mean['high']:.4f}"
        assert cells[str(init)][new] == f"{mean['new_low']:.4f} to {mean['new_high']:.4f}"
    assert cells[other][f"behind {best} by"] == f"{100 * lead['difference']:.2f}"
    assert cells[other][f"{these} (all pairs)"] == f"{100 * lead['low']:.2f} to {100 * lead['high']:.2f}"
    assert cells[other][f"{new} (all pairs)"] == f"{100 * lead['new_low']:.2f} to {100 * lead['new_high']:.2f}"
    assert cells[best][f"behind {best} by"] == cells[best][f"{new} (all pairs)"] == ""
