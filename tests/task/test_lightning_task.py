"""What a config says of a module of one's own: which score, and what is built with which arguments."""

from fractions import Fraction
from functools import partial
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pytest
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.task import LightningTask


class Module(L.LightningModule):
    """Keeps what it is given."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.given = given
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Any) -> Any:
        return self.layer(batch).sum()

    def validation_step(self, batch: Any) -> None:
        self.log("val/loss", self.layer(batch).sum())

    def configure_optimizers(self) -> Any:
        return None

    def train_dataloader(self) -> Any:
        return []

    def val_dataloader(self) -> Any:
        return []


def first_two(batch: Any) -> Any:
    return batch[0], batch[1]


def task(score: str = "val/loss", **options: Any) -> LightningTask:
    given = options.pop("given", {})
    return LightningTask(module={"_target_": f"{__name__}.Module", **given}, score=score, **options)


@pytest.mark.parametrize("score", ["val/loss", "VAL_LOSS", "Loss"])
def test_a_loss_is_better_low_however_it_is_spelt(score: str) -> None:
    assert task(score).metric.higher_is_better is False
    assert task(score, higher_is_better=True).metric.higher_is_better is True


@pytest.mark.parametrize("higher", [True, False])
def test_of_another_score_it_has_to_be_said(higher: bool) -> None:
    with pytest.raises(ValueError, match=r"^task.higher_is_better is missing: is a high val/acc good"):
        task("val/acc")
    assert task("val/acc", higher_is_better=higher).metric.higher_is_better is higher


def test_targets_are_checked_as_values_of_the_score() -> None:
    share = {"higher_is_better": True, "unit": "share"}
    assert list(task("val/acc", **share, targets=[0.5]).targets) == [0.5]
    with pytest.raises(ValueError, match=r"^task\.targets must be above 0 and below 1 for .*, got 1.5$"):
        task("val/acc", **share, targets=[0.5, 1.5])


def test_functions_for_initializers_are_loaded_by_their_names() -> None:
    assert task().for_initializers == {}
    assert task(loss="torch.nn.functional.mse_loss").for_initializers == {"loss": F.mse_loss}
    found = task(loss="torch.nn.functional.l1_loss", batch_of=f"{__name__}.first_two").for_initializers
    assert {key: function.__name__ for key, function in found.items()} == {"loss": "l1_loss", "batch_of": "first_two"}


FRACTION = {"_target_": "fractions.Fraction", "numerator": 3}


def test_nested_nodes_are_built_wherever_they_are() -> None:
    given = {
        "plain": {"a": 1},
        "one": {**FRACTION, "denominator": 4},
        "listed": [FRACTION, {"deeper": [FRACTION]}, 7],
        "whole": {**FRACTION, "_partial_": False},
        "later": {**FRACTION, "_partial_": True},
    }
    one = task(given=given)
    one.check()
    module, data = one.build()
    assert isinstance(module, Module)
    assert data is None
    later = module.given.pop("later")
    assert isinstance(later, partial)
    assert later(denominator=2) == Fraction(3, 2)
    assert module.given == {
        "plain": {"a": 1},
        "one": Fraction(3, 4),
        "listed": [Fraction(3), {"deeper": [Fraction(3)]}, 7],
        "whole": Fraction(3),
    }


@pytest.mark.parametrize(
    "given, said",
    [
        ({"one": {"_target_": "fractions.Fractoin"}}, "task.module.one"),
        ({"some": [1, {"_target_": "fractions.Fractoin"}]}, "task.module.some.1"),
        ({"one": {**FRACTION, "denominatr": 2}}, "task.module.one.denominatr"),
        ({"one": {**FRACTION, "_partial_": False, "denominatr": 2}}, "task.module.one.denominatr"),
    ],
)
def test_a_nested_mistake_is_found_before_anything_is_built(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        task(given=given).check()


@pytest.mark.parametrize("hook", ["training_step", "validation_step", "configure_optimizers"])
def test_a_module_without_a_hook_is_refused_by_its_name(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Module, hook, getattr(L.LightningModule, hook))
    with pytest.raises(ValueError, match=f"task.module: Module has no {hook}"):
        task().build()


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader"])
def test_a_loader_is_the_datamodules_or_the_modules(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"_target_": "lightning.pytorch.LightningDataModule"}
    _, made = task(datamodule=data).build()  # the module has what the datamodule has not
    assert isinstance(made, L.LightningDataModule)
    monkeypatch.setattr(Module, loader, getattr(L.LightningModule, loader))
    with pytest.raises(ValueError, match=f"^task.datamodule: LightningDataModule has no {loader}$"):
        task(datamodule=data).build()
    with pytest.raises(ValueError, match=f"^task.module: Module has no {loader}; set task.datamodule._target_, or"):
        task().build()
