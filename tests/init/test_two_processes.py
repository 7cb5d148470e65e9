"""Parameters of which each of two processes holds a part: the parts of the whole weights, or a refusal."""

import subprocess
import sys
from pathlib import Path

SHARDS = """
import sys, warnings
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from initbench.init import initialize, initializer, rows, weights_digest

warnings.simplefilter("ignore")  # what torch says of two processes is not what is tested
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=int(sys.argv[2]), world_size=2)
mesh = init_device_mesh("cpu", (2,))


def build():  # the last layer has one row, so one of the processes holds nothing of it
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 5), nn.Linear(5, 1))


for name in ("orthogonal", "default"):
    whole, shards = build(), build()
    for layer in shards:
        fully_shard(layer, mesh=mesh)
    fully_shard(shards, mesh=mesh)
    outcomes = [initializer(name).apply(model, seed=0) for model in (whole, shards)]
    assert all(torch.equal(a, b.full_tensor()) for a, b in zip(whole.parameters(), shards.parameters(), strict=True))
    assert weights_digest(whole) == weights_digest(shards)
    assert rows(outcomes[0]) == rows(outcomes[1])

cut = FullyShardedDataParallel(build(), use_orig_params=True, device_id=torch.device("cpu"))
try:
    initialize(cut, "normal")
except ValueError as error:
    assert "has cut the parameters into parts" in str(error), error
else:
    raise AssertionError("not refused")
with FullyShardedDataParallel.summon_full_params(cut):
    initialize(cut, "orthogonal")
    whole = initialize(build(), "orthogonal")
    assert all(map(torch.equal, cut.parameters(), whole.parameters()))
distributed.destroy_process_group()
"""


def test_each_process_holds_its_part_of_the_weights_of_the_whole_model(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHARDS, str(tmp_path / "store")]
    processes = [
        subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True, cwd=tmp_path) for rank in range(2)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
