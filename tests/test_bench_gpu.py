"""scripts/bench_gpu.py without a GPU: a part that hangs or fails costs no other, and its row says so."""

import json
from pathlib import Path
from typing import Any

import bench_gpu
import pytest
import torch
from bench_gpu import BOUNDS, PARTS, Setup, random_images, run_part


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_all_parts_end_within_ten_minutes() -> None:
    assert BOUNDS.keys() == PARTS.keys()
    assert sum(BOUNDS.values()) < 600


def test_a_part_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup("cpu", True, tmp_path, tmp_path / "rows.jsonl")
    monkeypatch.setitem(BOUNDS, "packs", 0.3)
    run_part("packs", setup, ["--device", "cpu", "--tiny", "--json", str(setup.file)])
    assert [(row["case"], row["found"]) for row in rows(setup.file)] == [("packs", "stopped after 0.3 s")]


def test_a_part_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.jsonl"

    def fails(setup: Setup) -> None:
        setup.say("first", "measured", numbers=[1.0])
        raise torch.OutOfMemoryError("no memory\nand more")

    monkeypatch.setitem(PARTS, "packs", fails)
    monkeypatch.setattr("sys.argv", ["", "--device", "cpu", "--tiny", "--part", "packs", "--json", str(file)])
    with pytest.raises(torch.OutOfMemoryError):
        bench_gpu.main()
    found = rows(file)
    assert [row["found"] for row in found] == ["measured", "failed: OutOfMemoryError: no memory"]
    assert [row[1] for row in bench_gpu.table(found).rows] == ["measured", "failed: OutOfMemoryError: no memory"]


def test_noise_has_the_shape_of_a_dataset() -> None:
    noise = random_images(root="", folder="", channels=1, image_size=28, images=50)
    assert noise.train_images.shape == (50, 1, 28, 28)
    assert noise.test_images.shape == (10, 1, 28, 28)
    assert len(noise.classes) == 10
