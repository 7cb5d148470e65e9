"""What keeps a run from being packed, as far as its config says; and who shares a pack with whom."""

from itertools import product
from pathlib import Path

import pytest
from configs import compose_config

from initbench.packed.plan import arrange, kind_of, obstacle
from initbench.record.store import Store


def run_of(folder: Path, *overrides: str) -> Store:
    return Store(compose_config("model=mlp", "logger=none", f"runs_dir={folder}", *overrides))


@pytest.mark.parametrize(
    "override, why",
    [
        ("optimizer=muon", "optimizer muon"),
        ("print_init=true", "print_init"),
        ("diagnostics=init diagnostics.curvature=true", "diagnostics.curvature needs the optimizer of a single run"),
        ("trainer.devices=2", "trainer.devices=2"),
        ("trainer.compile=true", "trainer.compile"),
        ("trainer.accelerator=mps", "trainer.accelerator=mps"),
        ("trainer.deterministic=warn", "trainer.deterministic=warn"),
        ("trainer.gradient_clip_val=0", "trainer.gradient_clip_val=0"),
        ("trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed"),
        ("+trainer.profiler=simple +trainer.detect_anomaly=true", "trainer.detect_anomaly"),
    ],
)
def test_each_obstacle_is_named(override: str, why: str, tmp_path: Path) -> None:
    assert obstacle(run_of(tmp_path, *override.split())) == why


@pytest.mark.parametrize(
    "override",
    [
        "optimizer=sgd",
        "optimizer=adam",
        "optimizer=adamw",
        "diagnostics=init",
        "trainer.precision=64-true",
        "trainer.accelerator=cpu",
        "trainer.accelerator=gpu",
        "trainer.deterministic=true",
        "trainer.gradient_clip_val=1",
        "trainer.devices=1",
        "trainer.channels_last=true",
    ],
)
def test_what_is_no_obstacle(override: str, tmp_path: Path) -> None:
    assert obstacle(run_of(tmp_path, override)) is None


@pytest.mark.parametrize("force", [False, True])
def test_a_run_with_a_checkpoint_of_its_own_goes_on_by_itself_unless_it_begins_anew(
    force: bool, tmp_path: Path
) -> None:
    run = run_of(tmp_path, f"force={force}")
    run.checkpoint.parent.mkdir(parents=True)
    run.checkpoint.touch()
    assert obstacle(run) == (None if force else "a checkpoint of its own")


@pytest.mark.parametrize(
    "override, is_same",
    [
        ("init=zeros", True),
        ("init.bias=0.5", True),
        ("seed=1", True),
        ("seeds.weights=1", True),
        ("seeds.order=1", True),
        ("optimizer.lr=0.5", True),
        ("optimizer.weight_decay=0.5", False),
        ("seeds.split=1", False),
        ("model.width=7", False),
        ("data.batch_size=16", False),
        ("data.val_size=100", False),
        ("scheduler=linear", False),
        ("trainer.max_steps=7", False),
        ("trainer.gradient_clip_val=1", False),
        ("task.label_smoothing=0.1", False),
        ("diagnostics.steps=[0]", False),
        ("study=other", False),
    ],
)
def test_a_pack_differs_in_initializer_seeds_and_rate_alone(override: str, is_same: bool, tmp_path: Path) -> None:
    kinds = [kind_of(run_of(tmp_path, *some).config) for some in ([], [override])]
    assert (kinds[0] == kinds[1]) is is_same


def test_packs_hold_every_run_once_and_are_of_nearly_the_same_size(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, f"seed={seed}") for seed in range(13)]
    for number, most, slots in product((1, 5, 8, 13), (1, 2, 5), (1, 2, 3)):
        packs = arrange(runs[:number], most, slots)
        assert sorted(run.config["seed"] for pack in packs for run in pack) == list(range(number))
        sizes = [len(pack) for pack in packs]
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1
        assert len(packs) == number or (len(packs) % slots == 0 and most * (len(packs) - slots) < number)
