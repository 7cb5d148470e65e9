"""What is packed is what was measured to be faster so, in every slot, and by enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from configs import compose_config

from initbench.packed import speed
from initbench.packed.eligible import built
from initbench.packed.measure import LOOP_SECONDS, SIZES, _alone, measure
from initbench.packed.speed import Speed, Steps
from initbench.record.store import Store


@pytest.mark.parametrize(
    "measured, replicas, why",
    [
        ([Steps(0.002, {4: 0.0012, 16: 0.001})], 16, "a step takes 1.0 ms per run, alone 2.0 ms"),
        ([Steps(0.002, {4: 0.001, 16: 0.0012}), Steps(0.002, {4: 0.001, 16: 0.0006})], 16, "takes 0.90 ms per run"),
        ([Steps(0.002, {4: 0.001, 16: 0.0005}), Steps(0.002, {4: 0.001})], 4, "takes 1.0 ms per run"),
        ([Steps(0.002, {4: 0.0019})], 0, "a step takes 2.0 ms, no less in a pack"),
        ([Steps(0.4999)], 0, "a step takes 500 ms, no less in a pack"),
        ([Steps(12.34)], 0, "a step takes 12.3 s, no less in a pack"),
        ([Steps(obstacle="dropout")], 0, "dropout"),
    ],
)
def test_the_fastest_is_chosen(measured: list[Steps], replicas: int, why: str) -> None:
    chosen = speed.choose(measured)
    assert chosen.replicas == replicas
    assert why in chosen.why


def test_what_is_remembered_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = compose_config("model=mlp"), compose_config("model=lenet")
    assert speed.remembered(one, {}) is None
    speed.remember(one, {}, Speed(4, "so"))
    speed.remember(other, {}, Speed(0, "no"))
    assert (speed.remembered(one, {}), speed.remembered(other, {})) == (Speed(4, "so"), Speed(0, "no"))
    (file,) = tmp_path.rglob("*.json")
    for damage in ("{", "[1]", '{"a": 3}', '{"a": {"replicas": "x", "why": ""}}', "[" * 100_000, "\x00"):
        file.write_text(damage)
        assert speed.remembered(one, {}) is None
    speed.remember(one, {}, Speed(4, "so"))
    assert speed.remembered(one, {}) == Speed(4, "so")
    file.unlink()
    file.mkdir()
    speed.remember(one, {}, Speed(4, "so"))
    assert speed.remembered(one, {}) == Speed(4, "so")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    speed.remember(one, {}, Speed(4, "so"))


def test_a_family_is_what_takes_as_long() -> None:
    def family(*overrides: str, threads: str = "1") -> str:
        config: dict[str, Any] = compose_config(*overrides)
        return speed.family(config, {"OMP_NUM_THREADS": threads})

    assert family() == family("init=orthogonal", "seed=3", "optimizer.lr=0.5", "trainer.max_epochs=9")
    others = [
        family("model=mlp"),
        family("data.batch_size=7"),
        family("trainer.precision=64-true"),
        family(threads="2"),
        family("optimizer=sgd"),
        family("data=fashion_mnist"),
        *(family(f"data.{key}") for key in ("crop_padding=2", "cutout=5", "flip=true")),
        family("trainer.channels_last=false"),
        family("trainer.threads=3"),
    ]
    assert len({family(), *others}) == 1 + len(others)


def test_a_slot_without_a_gpu_is_of_another_family_and_which_gpu_it_has_is_not() -> None:
    config: dict[str, Any] = compose_config()
    slots = [{}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    any_gpu, none, first, second = (speed.family(config, slot) for slot in slots)
    assert any_gpu == first == second != none


def test_steps_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack's is shared out; what is large, or cannot be packed, is not even tried in packs."""
    config = compose_config("model=mlp", "data.batch_size=4", "trainer.accelerator=cpu", f"runs_dir={tmp_path}")
    steps = measure([config], sharing=1)
    assert set(steps.packed) == set(SIZES)
    assert min(steps.alone - LOOP_SECONDS, *steps.packed.values()) > 0
    assert measure([{**config, "model": compose_config("model=rnn")["model"]}], sharing=1).obstacle == (
        "torch.func.vmap does not support RNN"
    )
    with pytest.raises(MemoryError):  # at another time there may be more
        measure([config], sharing=10**9)
    unbuildable = {**config, "init": compose_config("init=chrono")["init"]}
    assert measure([unbuildable, config], sharing=1).packed.keys() == steps.packed.keys()
    with pytest.raises(ValueError, match="recurrent"):
        measure([unbuildable], sharing=1)
    for seconds, sizes in ((0.015625, SIZES), (0.03125, SIZES[:-1]), (0.125, ())):

        def clock(step: Callable[[], None], seconds: float = seconds) -> float:
            step()
            return seconds

        monkeypatch.setattr("initbench.packed.measure._seconds", clock)
        steps = measure([config], sharing=1)
        assert steps.alone == seconds + LOOP_SECONDS
        assert steps.packed == {size: seconds / size for size in sizes}


@pytest.mark.parametrize("sharing, sizes", [(1, {4, 8}), (2, {4}), (3, None)])
def test_slots_that_share_a_device_share_its_memory(
    sharing: int, sizes: set[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory half of which holds eight replicas."""
    monkeypatch.setattr("initbench.packed.measure._alone", lambda parts: (0.01, 100.0))
    monkeypatch.setattr("initbench.packed.measure._memory", lambda parts: 1600)
    config = compose_config("model=mlp", "data.batch_size=4", "trainer.accelerator=cpu", f"runs_dir={tmp_path}")
    if sizes is None:
        with pytest.raises(MemoryError):
            measure([config], sharing)
    else:
        assert set(measure([config], sharing).packed) == sizes


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (0.99951, "1.0 s"),
        (0.9994, "999 ms"),
        (0.01, "10 ms"),
        (0.00996, "10 ms"),
        (0.00994, "9.9 ms"),
        (0.000996, "1.0 ms"),
        (0.000994, "0.99 ms"),
        (0.00059, "0.59 ms"),
    ],
)
def test_a_time_has_two_digits_or_whole_milliseconds(seconds: float, shown: str) -> None:
    assert speed.choose([Steps(seconds)]).why == f"a step takes {shown}, no less in a pack"


def test_a_pack_has_to_be_a_tenth_faster() -> None:
    assert speed.choose([Steps(1.12, {4: 1.0})]).replicas == 4
    assert speed.choose([Steps(1.08, {4: 1.0})]).replicas == 0


def test_what_any_slot_cannot_pack_no_slot_packs() -> None:
    assert speed.choose([Steps(1.0, {4: 0.1}), Steps(obstacle="dropout")]) == Speed(0, "dropout")
    assert speed.choose([Steps(1.0, {4: 0.1}), Steps(1.0)]) == Speed(0, "a step takes 1.0 s, no less in a pack")
    assert speed.choose([Steps(1.0, {4: 0.5}), Steps(3.0, {4: 2.5})]).why.endswith("1.5 s per run, alone 2.0 s")


@pytest.mark.parametrize(
    "override",
    [
        "trainer.accelerator=cpu",
        "trainer.deterministic=false",
        "trainer.float32_matmul_precision=high",
        "trainer.precision=16-mixed",
        "model=mlp",
        "data.name=mine",
    ],
)
def test_each_of_what_decides_about_the_time_makes_another_family(override: str) -> None:
    plain: dict[str, Any] = compose_config()
    assert speed.family(compose_config(override), {}) != speed.family(plain, {})


def test_what_a_step_keeps_is_four_times_its_parameters_and_its_activations(tmp_path: Path) -> None:
    """Also of those weights that are saved for the backward pass; activations grow with the batch."""

    def kept(size: int) -> float:
        config = compose_config(
            "model=mlp", f"data.batch_size={size}", "trainer.accelerator=cpu", f"runs_dir={tmp_path}"
        )
        parts = built(Store(config).typed)
        before = [parameter.detach().clone() for parameter in parts.recipe.model.parameters()]
        seconds, found = _alone(parts)
        assert seconds > 0
        assert all(map(torch.equal, parts.recipe.model.parameters(), before))
        assert found >= 4 * sum(parameter.nbytes for parameter in before)
        return found

    small, medium, large = map(kept, (16, 32, 64))
    assert large - medium == pytest.approx(2 * (medium - small), rel=0.01)
    assert medium - small >= 16 * 4 * (784 + 256)  # the inputs and a hidden layer
