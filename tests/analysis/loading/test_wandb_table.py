"""Runs on Weights & Biases that initbench did not make: the real wandb uploads them, and its API reads them back."""

from typing import Any

import pytest
import wandb
from wandb_server import Server

import initbench

pytestmark = pytest.mark.usefixtures("wandb_alone")
PATH = "someone/elsewhere"


@pytest.fixture
def project(server: Server) -> Server:
    """Two methods, three seeds, a nested config; one run crashed before it logged, one is of something else."""
    entity, name = PATH.split("/")
    configs = [{"method": m, "model": {"name": "gpt"}, "seed": s} for m in ("a", "b") for s in range(3)]
    settings = wandb.Settings(silent=True, console="off")
    for config in [*configs, {"learning_rate": 1}]:
        with wandb.init(entity=entity, project=name, config=config, mode="online", settings=settings) as run:
            if config != configs[-1]:
                loss = 2.0 + (config.get("method") == "b") + config.get("seed", 0) / 10
                run.log({"val/loss": loss, "val": {"best": 1.5}})
    return server


def load(**asked: Any) -> initbench.load_wandb:
    names: dict[str, Any] = {"score": "val/loss", "init": "method", "seed": "seed", "workload": "model.name"}
    return initbench.load_wandb(PATH, **{**names, **asked})


def test_configs_and_summaries_make_a_table(project: Server, capsys: pytest.CaptureFixture[str]) -> None:
    found = load().sort_values(["method", "seed"])
    assert found[["method", "model.name", "seed"]].to_numpy().tolist() == [
        [method, "gpt", seed] for method in ("a", "b") for seed in range(3)
    ]
    assert found["val/loss"].tolist()[:5] == pytest.approx([2.0, 2.1, 2.2, 3.0, 3.1])
    assert found["val/loss"].isna().tolist() == [False] * 5 + [True]
    assert (
        "skipped 1 of 7 runs of someone/elsewhere, which lack one of method, model.name, seed"
        in capsys.readouterr().out
    )
    verdict = initbench.verdict(found, "val/loss", higher_is_better=False, init="method", workload="model.name")
    assert verdict.sentences[0].text.startswith("Three seeds cannot show a significant difference")


def test_dots_lead_into_nested_values(project: Server) -> None:
    assert load(score="val.best")["val.best"].dropna().unique().tolist() == [1.5]


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"init": "methods"}, r"has 'methods' in its config\. Did you mean 'method'\? Keys: "),
        ({"score": "val/los"}, r"has 'val/los' in its summary\. Did you mean 'val/loss'\? Keys: "),
        ({"workload": ["model.depth"]}, r"has 'model.depth' in its config\.(?: Did you mean .*)? Keys: "),
        ({"filters": {"group": "another"}}, r"that matches the filters has ended"),
    ],
)
def test_what_no_run_has_is_one_line(asked: dict[str, object], message: str, project: Server) -> None:
    with pytest.raises(ValueError, match=message):
        load(**asked)
