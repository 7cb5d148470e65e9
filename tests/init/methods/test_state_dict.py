"""Weights from files: what is read, by which names, and what is said of a file that does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from initbench.init import initialize, initializer, rows


def model(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))


def saved(folder: Path, content: Any, name: str = "weights.pt") -> str:
    path = folder / name
    if name.endswith(".safetensors"):
        save_file(content, path)
    else:
        torch.save(content, path)
    return str(path)


@pytest.fixture
def trained() -> nn.Sequential:
    """With running statistics of its own."""
    found = model()
    found(torch.randn(8, 5) + 3)
    return found


def same(a: nn.Module, b: nn.Module) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return all(torch.equal(value, other[name]) for name, value in mine.items())


def test_a_part_of_the_model_may_be_named_module(tmp_path: Path) -> None:
    """As that of a DataParallel is, without being one."""

    def named(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.ModuleDict({"module": model()})

    path = saved(tmp_path, named(1).state_dict())
    assert same(initialize(named(2), "state_dict", path=path), named(1))
    inner = saved(tmp_path, named(1).state_dict(), "inner.pt")
    assert same(initialize(model(), "state_dict", path=inner), named(1)["module"])


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_parameters_and_buffers_come_from_the_file(tmp_path: Path, trained: nn.Module, name: str) -> None:
    path = saved(tmp_path, trained.state_dict(), name)
    outcome = initializer("state_dict", path=path).apply(found := model(), seed=0)
    assert same(found, trained)
    assert outcome.numbers == {"tensors_loaded": 9}
    assert {row["parameter"]: row["scheme"] for row in rows(outcome)}["0.weight"] == "default, state_dict"


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_checkpoint_is_opened_and_its_prefix_dropped(tmp_path: Path, trained: nn.Module, key: str) -> None:
    inside = {f"model.{name}": value for name, value in trained.state_dict().items()}
    path = saved(tmp_path, {key: {**inside, "optimizer.step": torch.ones(())}, "epoch": 3})
    assert same(initialize(model(), "state_dict", path=path, prefix="model."), trained)


def test_it_is_cast_to_the_models_dtype(tmp_path: Path, trained: nn.Module) -> None:
    path = saved(tmp_path, {name: value.double() for name, value in trained.state_dict().items()})
    found = initialize(model().to(torch.bfloat16), "state_dict", path=path)
    assert torch.equal(found[0].weight, trained[0].weight.to(torch.bfloat16))


def test_a_folder_of_save_pretrained_is_read_whole_or_in_parts(tmp_path: Path, trained: nn.Module) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    state = trained.state_dict()
    save_file(state, whole / "model.safetensors")
    files = {name: f"{name[0]}.safetensors" for name in state}
    for file in set(files.values()):
        save_file({name: value for name, value in state.items() if files[name] == file}, parts / file)
    (parts / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    for folder in (whole, parts):
        assert same(initialize(model(), "state_dict", path=str(folder)), trained)


def test_a_file_of_a_model_of_transformers_may_be_without_its_head(tmp_path: Path, trained: nn.Sequential) -> None:
    class Headed(nn.Module):
        base_model_prefix = "body"

        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = model(), nn.Linear(3, 2)

    path = saved(tmp_path, trained.state_dict())
    found = initialize(Headed(), "state_dict", path=path, strict=False)
    assert same(found.body, trained)
    refuse(Headed(), r"lacks 2 of 11 tensors, 'head.weight' first", path=path)
    with_head = initialize(Headed(), "default", seed=3)
    assert same(initialize(Headed(), "state_dict", path=saved(tmp_path, with_head.state_dict(), "head.pt")), with_head)


def test_not_strict_passes_over_what_does_not_fit(tmp_path: Path, trained: nn.Module) -> None:
    state = {**trained.state_dict(), "extra": torch.ones(2)}
    path = saved(tmp_path, state)
    found = initialize(model(classes=7), "state_dict", path=path, strict=False, weight="ones")
    assert torch.equal(found[0].weight, trained[0].weight)
    assert (found[2].weight == 1).all()  # as its scheme filled it


def refuse(found: nn.Module, message: str, **arguments: Any) -> None:
    before = {name: value.clone() for name, value in found.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        initialize(found, "state_dict", **arguments)
    assert all(torch.equal(value, before[name]) for name, value in found.state_dict().items())


def test_names_and_shapes_that_do_not_match_are_refused(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    renamed = {name.replace("0.weight", "0.weights"): value for name, value in state.items()}
    refuse(model(), r"lacks 1 of 9 tensors, '0.weight' first. Did you mean '0.weights'", path=saved(tmp_path, renamed))
    refuse(
        model(), "holds 1 tensors that the model does not have", path=saved(tmp_path, {**state, "extra": torch.ones(1)})
    )
    refuse(model(7), r"2.weight has shape \(3, 4\), the model's \(7, 4\)", path=saved(tmp_path, state))
    nothing = saved(tmp_path, {"a": torch.ones(1)})
    refuse(model(), "no name and shape matches the model's", path=nothing, strict=False)
    refuse(model(), "lacks 9 of 9 tensors", path=saved(tmp_path, state), prefix="model.")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    refuse(model(), "there is no file .*nowhere.pt", path=str(tmp_path / "nowhere.pt"))
    refuse(model(), "there is no file .* to load weights from: it is a folder", path=str(tmp_path))
    (tmp_path / "passwd").write_text("root:x:0:0\n")
    refuse(model(), "passwd is not a file of weights: expected one of torch.save, or", path=str(tmp_path / "passwd"))
    refuse(model(), "^path has no value yet: give one, path=")
    for name in ("text.pt", "text.safetensors"):
        (tmp_path / name).write_text("not weights")
        refuse(model(), f"{name} is not a file of weights", path=str(tmp_path / name))
    refuse(model(), "does not hold a state_dict", path=saved(tmp_path, [torch.ones(1)]))
    refuse(model(), "does not hold a state_dict", path=saved(tmp_path, {"a": 3}))
    refuse(model(), "path of state_dict must be text, got 3", path=3)


class Payload:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "ran")


def test_nothing_in_the_file_is_executed(tmp_path: Path) -> None:
    refuse(model(), "is not a file of weights", path=saved(tmp_path, {"0.weight": Payload(tmp_path / "ran")}))
    assert not (tmp_path / "ran").exists()


def test_a_value_that_is_not_finite_is_refused(tmp_path: Path, trained: nn.Module) -> None:
    state = trained.state_dict()
    state["0.weight"] = torch.full((4, 5), torch.nan)
    with pytest.raises(ValueError, match=r"state_dict left values in 0\.weight that are not finite"):
        initialize(model(), "state_dict", path=saved(tmp_path, state))


def test_not_strict_counts_only_what_it_loads(tmp_path: Path, trained: nn.Module) -> None:
    path = saved(tmp_path, {**trained.state_dict(), "extra": torch.ones(2)})
    outcome = initializer("state_dict", path=path, strict=False).apply(model(classes=7), seed=0)
    assert outcome.numbers == {"tensors_loaded": 7}  # all but the weight and bias of the last layer


def test_a_surplus_beside_the_body_of_a_headed_model_is_refused(tmp_path: Path, trained: nn.Module) -> None:
    class Body(nn.Module):
        base_model_prefix = "body"

        def __init__(self) -> None:
            super().__init__()
            self.body = model()

    path = saved(tmp_path, {**trained.state_dict(), "extra": torch.ones(2)})
    refuse(Body(), r"holds 1 tensors that the model does not have, 'body\.extra' first", path=path)
