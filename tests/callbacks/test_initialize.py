"""The callback on LightningModules that know nothing of initbench."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities import CombinedLoader
from modules import Regressor, dataset, loader, trainer
from scaling import scaling
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import initbench
from initbench.init import weights_digest

# Lightning's advice about data; the loaders are the test's own.
pytestmark = pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")


class Saving(Regressor):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_train_start(self) -> None:
        torch.save(self.state_dict(), f"{self.path}-{self.global_rank}.pt")

    def teardown(self, stage: str) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # gloo's threads may abort a process that ends with them


def test_weights_are_those_of_the_function(tmp_path: Path) -> None:
    module, twin = Regressor(), Regressor()
    callback = initbench.Initialize("orthogonal", seed=3, gain=0.5)
    trainer(tmp_path, callback).fit(module, loader())
    initbench.initialize(twin, "orthogonal", seed=3, gain=0.5)
    for name, value in twin.state_dict().items():
        assert torch.equal(module.first[name], value), name
    assert any(not torch.equal(module.first[name], value) for name, value in module.state_dict().items())
    assert [row["parameter"] for row in callback.table] == [name for name, _ in module.named_parameters()]


def test_data_are_the_modules_own_and_the_same_for_every_initializer(tmp_path: Path) -> None:
    weights, states = {}, []
    for seed in (0, 0, 1):
        torch.manual_seed(7)
        module = Regressor()
        state = torch.get_rng_state()
        callback = initbench.Initialize("lsuv", seed=seed)
        trainer(tmp_path, callback, max_steps=1).fit(module, loader())
        weights.setdefault(seed, []).append(module.first)
        states.append((state, callback))
    assert all(torch.equal(one, other) for one, other in zip(*[w.values() for w in weights[0]], strict=True))
    assert not torch.equal(weights[0][0]["head.weight"], weights[1][0]["head.weight"])
    # On the very batch that the seed's order begins with.
    torch.manual_seed(0)
    batch = next(iter(loader()))
    twin = Regressor()
    initbench.initialize(twin, "lsuv", seed=0, batch=tuple(batch))
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(weights[0][0][name], value)


def test_the_order_of_training_does_not_depend_on_the_initializer(tmp_path: Path) -> None:
    seen: dict[str, list[Tensor]] = {}

    class Seeing(Regressor):
        def __init__(self, init: str) -> None:
            super().__init__()
            self.init = init

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            seen.setdefault(self.init, []).append(batch[0])
            return super().training_step(batch, batch_idx)

    for init in ("orthogonal", "lsuv"):
        torch.manual_seed(7)
        module = Seeing(init)
        trainer(tmp_path, initbench.Initialize(init)).fit(module, loader())
    assert all(torch.equal(one, other) for one, other in zip(*seen.values(), strict=True))


def test_a_resumed_fit_keeps_the_weights_of_its_checkpoint(tmp_path: Path) -> None:
    module, callback = Regressor(), initbench.Initialize("orthogonal")
    first = trainer(tmp_path, callback, max_epochs=1)
    first.fit(module, loader(shuffle=False))
    first.save_checkpoint(tmp_path / "last.ckpt")
    again, later = Regressor(), initbench.Initialize("orthogonal")
    trainer(tmp_path, later, max_epochs=2).fit(again, loader(shuffle=False), ckpt_path=tmp_path / "last.ckpt")
    for name, value in module.state_dict().items():
        assert torch.equal(again.first[name], value), name
    assert later.table == callback.table


def test_a_second_fit_of_the_module_goes_on_and_another_module_is_initialized(tmp_path: Path) -> None:
    callback = initbench.Initialize("constant", value=0.25)
    module = Regressor()
    trainer(tmp_path, callback).fit(module, loader())
    trained = copy.deepcopy(module.state_dict())
    trainer(tmp_path, callback).fit(module, loader())
    assert all(torch.equal(module.first[name], value) for name, value in trained.items())
    other = Regressor()
    trainer(tmp_path, callback).fit(other, loader())
    assert other.first["head.weight"].eq(0.25).all()


def test_another_form_of_batch_needs_to_be_taken_apart(tmp_path: Path) -> None:
    class Named(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            x, y = super().__getitem__(index)
            return {"x": x, "y": y}

    named = DataLoader(Named(*dataset().tensors), batch_size=10)
    with pytest.raises(ValueError, match=r"needs inputs and targets, and the first training batch is a dict: pass ba"):
        trainer(tmp_path, initbench.Initialize("lsuv")).fit(Regressor(), named)
    module = Regressor()
    callback = initbench.Initialize("lsuv", batch_of=lambda batch: (batch["x"], batch["y"]))
    trainer(tmp_path, callback).fit(module, named)
    x, y = dataset().tensors
    twin = Regressor()
    initbench.initialize(twin, "lsuv", batch=(x[:10], y[:10]))
    torch.testing.assert_close(module.first["head.weight"], twin.head.weight.detach())


class OfTwo(Regressor):
    """It is trained on two loaders at once."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch["a"], batch_idx)


@pytest.mark.parametrize("combined", [False, True])
def test_of_several_loaders_a_batch_has_one_of_each(tmp_path: Path, *, combined: bool) -> None:
    loaders: Any = {"a": loader(shuffle=False), "b": loader(batch_size=7)}
    callback = initbench.Initialize("lsuv", batch_of=lambda batch: batch["a"])
    module = OfTwo()
    trainer(tmp_path, callback).fit(module, CombinedLoader(loaders, "min_size") if combined else loaders)
    x, y = dataset().tensors
    twin = Regressor()
    initbench.initialize(twin, "lsuv", batch=(x[:10], y[:10]))
    torch.testing.assert_close(module.first["head.weight"], twin.head.weight.detach())


def test_data_without_a_batch_are_refused(tmp_path: Path) -> None:
    class Empty(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(ValueError, match=r"^lsuv needs a batch, and the training data has none$"):
        trainer(tmp_path, initbench.Initialize("lsuv")).fit(Regressor(), DataLoader(Empty()))


def test_a_loss_of_the_users_own_reaches_the_method(tmp_path: Path) -> None:
    module, callback = Regressor(), initbench.Initialize("metainit", loss=F.mse_loss, steps=3)
    trainer(tmp_path, callback).fit(module, loader())
    assert callback.numbers


def test_a_mistake_is_found_before_the_fit() -> None:
    with pytest.raises(ValueError, match="Did you mean 'orthogonal'"):
        initbench.Initialize("orthogonall")
    with pytest.raises(ValueError, match="gian"):
        initbench.Initialize("orthogonal", gian=2)


@pytest.mark.filterwarnings("ignore")  # of Lightning, about few cores and small batches
@pytest.mark.parametrize("init", ["orthogonal", "lsuv"])
def test_all_processes_have_the_weights_of_one(tmp_path: Path, init: str) -> None:
    module = Saving(tmp_path / "one")
    trainer(tmp_path, initbench.Initialize(init)).fit(module, loader())
    two = trainer(tmp_path, initbench.Initialize(init), strategy="ddp_spawn", devices=2)
    two.fit(Saving(tmp_path / "two"), loader())
    (expected,) = (torch.load(path) for path in tmp_path.glob("one*"))
    found = [torch.load(path) for path in sorted(tmp_path.glob("two*"))]
    assert len(found) == 2
    for name, value in expected.items():
        assert all(torch.equal(of[name], value) for of in found), name


@pytest.mark.parametrize(
    "own, message",
    [
        ({}, "scaling scales the learning rates of 2 parameters, and .* initbench.learning_rates has the factors"),
        ({"lr"}, "scaling scales the eps of 2 parameters, and Scaled.configure_optimizers gives all of them the same"),
        ({"lr", "eps"}, "scaling scales the weight decay of 2 parameters, .* initbench.optimizer_factors has the"),
        ({"lr", "eps", "weight_decay"}, None),
        ({"lr", "eps", "no decay"}, None),  # there is nothing to scale
    ],
)
def test_an_optimizer_without_a_setting_that_the_initializer_scales_is_refused(
    own: set[str], message: str | None, tmp_path: Path
) -> None:
    class Scaled(Regressor):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            factors = initbench.optimizer_factors(self, scaling, adaptive=True, eps=4)
            base = {"lr": 0.1, "eps": 1e-6, "weight_decay": 0.0 if "no decay" in own else 0.1}
            scale = {
                key: {name: getattr(factors[name], key) if key in own else 1.0 for name in factors} for key in base
            }
            return torch.optim.AdamW(
                {"params": [p], **{key: base[key] * scale[key][name] for key in base}}
                for name, p in self.named_parameters()
            )

    callback = initbench.Initialize(scaling, eps=4)
    if message is None:
        trainer(tmp_path, callback).fit(Scaled(), loader())
        assert len(callback.table) == 6
        return
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, callback).fit(Scaled(), loader())


def test_a_checkpoint_of_the_callback_says_all_of_how_the_fit_was_initialized(tmp_path: Path) -> None:
    callback, later = initbench.Initialize("lsuv", seed=3), initbench.Initialize("lsuv", seed=3)
    module = Regressor()
    trainer(tmp_path, callback).fit(module, loader())
    later.load_state_dict(callback.state_dict())
    for name in ("table", "numbers", "weights", "seconds"):
        assert getattr(callback, name), name
        assert getattr(later, name) == getattr(callback, name), name
    first = Regressor()
    first.load_state_dict(module.first)
    assert later.fields() == {"init_numbers": callback.numbers, "initial_weights": weights_digest(first)}
    assert later.numbers["steps"] >= 1


@pytest.mark.parametrize(
    "form, found",
    [
        (lambda x, y: [x, y, "more"], True),
        (lambda x, y: (x, y), True),
        (lambda x, y: [x], False),
        (lambda x, y: (x, "label"), False),
        (lambda x, y: ("id", x, y), False),
    ],
    ids=["with more", "pair", "alone", "no tensor", "behind another"],
)
def test_a_batch_begins_with_inputs_and_targets_or_needs_to_be_taken_apart(
    form: Any, found: bool, tmp_path: Path
) -> None:
    class Formed(Regressor):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return self(dataset().tensors[0]).mean()

    x, y = dataset().tensors
    data = DataLoader([0], batch_size=None, collate_fn=lambda _: form(x, y))
    module, fit = Formed(), trainer(tmp_path, initbench.Initialize("lsuv"))
    if not found:
        with pytest.raises(ValueError, match=r"^lsuv needs inputs and targets, and the first training batch is a "):
            fit.fit(module, data)
        return
    fit.fit(module, data)
    twin = Regressor()
    initbench.initialize(twin, "lsuv", batch=(x, y))
    torch.testing.assert_close(module.first["head.weight"], twin.head.weight.detach())


def test_optimizers_are_adaptive_unless_all_are_sgd(tmp_path: Path) -> None:
    class Adaptive(Regressor):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.1)

    asked = []
    for module in (Regressor(), Adaptive()):
        callback = initbench.Initialize("orthogonal")
        factors = callback._initializer.optimizer_factors

        def recorded(*args: Any, factors: Any = factors, **keys: Any) -> Any:
            asked.append(keys["adaptive"])
            return factors(*args, **keys)

        vars(callback._initializer)["optimizer_factors"] = recorded
        trainer(tmp_path, callback).fit(module, loader())
    assert asked == [False, True]


def test_rates_are_compared_as_they_were_before_a_warm_up(tmp_path: Path) -> None:
    class Warming(Regressor):
        """All rates are 0 when the fit starts."""

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(step))]

    with pytest.raises(ValueError, match="scaling scales the learning rates of 2 parameters"):
        trainer(tmp_path, initbench.Initialize(scaling)).fit(Warming(), loader())
