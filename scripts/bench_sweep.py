"""The time of a whole sweep, from starting the process to its last table, compared with plainly written code.

    python scripts/bench_sweep.py [--model mlp] [--inits 8] [--seeds 8] [--rounds 3] [--ways auto local] [--json FILE]
    python scripts/bench_sweep.py --experiment quickstart

The sweep has inits x seeds runs of one model (mlp: 784-64-128-64-10 with batch norm; or lenet), one epoch of MNIST
each, with Adam, batches of 128, validation before and after, and the test set at the end; initbench also writes
records, histories and wandb (offline). Each way has processes of its own.

- template: what common Lightning templates do for each run, in one process: torchvision's MNIST in a DataLoader, a
  Trainer, `self.log`, a CSV file. Four runs are done. Where there are more, the rest is extrapolated from the last
  three, which are timed in the process.
- bare: the shortest PyTorch loop over a tensor of all images, one run after the other; it records nothing. It is
  extrapolated, too.
- basic, local, packed, auto: `python -m initbench -m hydra/launcher=...`, each time with an empty cache, so that `auto`
  measures whether packs are faster.

With --experiment, it is a ready-made study, as its YAML has it; `auto` is the only way.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import torch
from benchmarking import Table, Timing, extrapolated, parser_of, process, report, take_turns, timing

NAMES = "default,xavier_normal,kaiming_normal,lecun_normal,orthogonal,xavier_uniform,kaiming_uniform,trunc_normal"
BATCH, RATE, VALIDATION = 128, 0.002, 5000
WIDTHS = (64, 128, 64)
PLAIN = ("template", "bare")
DONE = 4  # runs of these at most; the first warms up
OURS = ("basic", "local", "packed", "auto")
EXPERIMENTS = {"quickstart": 50}  # and their runs
MODELS = {
    "mlp": ["model=mlp", "model.depth=3", f"model.width=[{','.join(map(str, WIDTHS))}]", "model.norm=batch"],
    "lenet": ["model=lenet"],
}


def network(model: str) -> torch.nn.Sequential:
    nn, layers, width = torch.nn, [torch.nn.Flatten()], 784
    if model == "lenet":
        convolutions = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        convolutions += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        return nn.Sequential(
            *convolutions, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )
    for following in WIDTHS:
        layers += [nn.Linear(width, following), nn.BatchNorm1d(following), nn.ReLU()]
        width = following
    return nn.Sequential(*layers, nn.Linear(width, 10))


def bare(model: str, runs: int, folder: str) -> Iterator[list[float]]:
    """One run after the other; nothing is kept but the accuracies."""
    from torch.nn.functional import cross_entropy
    from torchvision.datasets import MNIST

    parts = [MNIST(folder, train=train) for train in (True, False)]
    (images, labels), (test, answers) = (((p.data[:, None] / 255 - 0.13) / 0.31, p.targets) for p in parts)
    held_out = slice(len(images) - VALIDATION, None)
    for seed in range(runs):
        torch.manual_seed(seed)
        net = network(model)
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
        net.train()
        for index in torch.randperm(len(images) - VALIDATION).split(BATCH):
            cross_entropy(net(images[index]), labels[index]).backward()
            optimizer.step()
            optimizer.zero_grad()
        net.eval()
        with torch.no_grad():
            yield [
                float((net(x).argmax(1) == y).float().mean())
                for x, y in ((images[held_out], labels[held_out]), (test, answers))
            ]


def template(model: str, runs: int, folder: str) -> Iterator[None]:
    """A dataset, three loaders, a module that logs each step and a Trainer for each run."""
    import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
    from lightning.pytorch.loggers import CSVLogger
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, random_split
    from torchmetrics.classification import MulticlassAccuracy
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, Normalize, ToTensor

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network(model)
            self.accuracies = torch.nn.ModuleDict({s: MulticlassAccuracy(10) for s in ("fit", "val", "test")})

        def share(self, batch: list[torch.Tensor], stage: str) -> torch.Tensor:
            images, labels = batch
            logits = self.model(images)
            loss = cross_entropy(logits, labels)
            self.accuracies[stage](logits, labels)
            self.log(f"{stage}/loss", loss, prog_bar=True)
            self.log(f"{stage}/accuracy", self.accuracies[stage], prog_bar=True)
            return loss

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return self.share(batch, "fit")

        def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
            self.share(batch, "val")

        def test_step(self, batch: list[torch.Tensor], index: int) -> None:
            self.share(batch, "test")

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=RATE)

    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    for seed in range(runs):
        L.seed_everything(seed)
        whole, test = MNIST(folder, train=True, transform=transform), MNIST(folder, train=False, transform=transform)
        train, held_out = random_split(whole, [len(whole) - VALIDATION, VALIDATION])
        with tempfile.TemporaryDirectory() as logs:
            trainer = L.Trainer(
                max_epochs=1,
                accelerator="cpu",
                logger=CSVLogger(logs),
                enable_checkpointing=False,
                log_every_n_steps=10,
            )
            module = Module()
            trainer.fit(module, DataLoader(train, BATCH, shuffle=True), DataLoader(held_out, BATCH))
            trainer.test(module, DataLoader(test, BATCH))
        yield


def plain(way: str, model: str, runs: int, data_dir: Path) -> tuple[float, list[float]]:
    """Seconds of a process that does up to DONE of so many runs, and those of each run but the first."""
    own = [sys.executable, __file__, "--data-dir", str(data_dir), "--model", model]
    seconds, printed = process([*own, "--plain", way, str(min(runs, DONE))])
    return seconds, json.loads(printed.splitlines()[-1])


def ours(arguments: list[str]) -> tuple[float, list[float]]:
    """Seconds of a sweep of ours, with a new folder for its runs and an empty cache; none of its runs is timed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "initbench", *arguments, "logger.mode=offline", f"runs_dir={folder}/runs"]
        # Not without matplotlib's list of fonts, which a user makes once.
        caches = {"XDG_CACHE_HOME": f"{folder}/cache", "MPLCONFIGDIR": matplotlib.get_cachedir()}
        return process(command, env={**os.environ, **caches})[0], []


def sweep(launcher: str, model: str, inits: int, seeds: int, data_dir: Path) -> list[str]:
    names = ",".join(NAMES.split(",")[:inits])
    data = ["data=mnist", f"data.batch_size={BATCH}", f"data.val_size={VALIDATION}", "data.val_every_n_steps=430"]
    run = ["optimizer=adam", f"optimizer.lr={RATE}", "scheduler=constant", "trainer.max_epochs=1"]
    of_machine = ["trainer.accelerator=cpu", f"data_dir={data_dir.resolve()}", f"hydra/launcher={launcher}"]
    return ["-m", *MODELS[model], *data, *run, *of_machine, f"init={names}", f"seed=range({seeds})"]


def measure(model: str, inits: int, seeds: int, ways: list[str], rounds: int, data_dir: Path) -> dict[str, Any]:
    """For every way and round, the seconds of the process, and of the runs that were timed in it."""
    runs = inits * seeds
    functions: dict[str, Callable[[], tuple[float, list[float]]]] = {
        way: partial(plain, way, model, runs, data_dir)
        if way in PLAIN
        else partial(ours, sweep(way, model, inits, seeds, data_dir))
        for way in ways
    }
    processes = take_turns(functions, rounds, warm_up=0, title=f"{runs} x {model}")
    return {"title": f"{runs} runs of {model}", "runs": runs, "processes": processes}


def measure_experiment(name: str, rounds: int) -> dict[str, Any]:
    """The same of a ready-made study."""
    ways = {"auto": partial(ours, [f"experiment={name}", "trainer.accelerator=cpu"])}
    processes = take_turns(ways, rounds, warm_up=0, title=name)
    return {"title": f"experiment={name}", "runs": EXPERIMENTS[name], "processes": processes}


def seconds(result: dict[str, Any], way: str) -> Timing:
    """The seconds that all runs take in one way, extrapolated where fewer were done."""
    processes = result["processes"][way]
    if way in PLAIN and result["runs"] > DONE:
        return extrapolated(processes, result["runs"])
    return timing([whole for whole, _ in processes])


def table(result: dict[str, Any]) -> Table:
    found = {way: seconds(result, way) for way in result["processes"]}
    rows = [
        [
            f"{way} (extrapolated)" if time.is_extrapolated else way,
            f"{time.median:.1f}",
            time.range(".1f"),
            f"{time.median / result['runs']:.2f}",
            *(f"{found[other].median / time.median:.1f}" for other in PLAIN if other in found),
        ]
        for way, time in found.items()
    ]
    ratios = [f"times as fast as {other}" for other in PLAIN if other in found]
    return Table(result["title"], ["way", "seconds", "range", "seconds per run", *ratios], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--model", choices=list(MODELS), default="mlp")
    parser.add_argument("--inits", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--ways", nargs="+", default=[*PLAIN, "basic", "local", "auto"], choices=[*PLAIN, *OURS])
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), help="a ready-made study instead")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    parser.add_argument("--plain", nargs=2, metavar=("WAY", "RUNS"), help=argparse.SUPPRESS)  # what a process runs
    asked = parser.parse_args()
    if asked.plain:
        way, runs = asked.plain
        done = {"bare": bare, "template": template}[way](asked.model, int(runs), str(asked.data_dir))
        ends = [time.perf_counter() for _ in done]
        print(json.dumps([end - before for before, end in pairwise(ends)]))
        return
    if asked.experiment:
        work = partial(measure_experiment, asked.experiment, asked.rounds)
    else:
        work = partial(measure, asked.model, asked.inits, asked.seeds, asked.ways, asked.rounds, asked.data_dir)
    report(work, table, asked.json)


if __name__ == "__main__":
    main()
