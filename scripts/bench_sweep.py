"""The time of a whole sweep, from starting the process to its last table, compared with plainly written code.

    python scripts/bench_sweep.py [--model mlp] [--inits 8] [--seeds 8] [--rounds 1] [--ways auto local] [--json FILE]

The sweep has inits x seeds runs of one model (mlp: 784-64-128-64-10 with batch norm; or lenet), one epoch of MNIST
each, with Adam, batches of 128, validation before and after, and the test set at the end; initbench also writes
records, histories and wandb (offline). Each way has processes of its own. They take turns, and medians are shown.

- template: what common Lightning templates do for each run, in one process: torchvision's MNIST in a DataLoader, a
  Trainer, `self.log`, a CSV file. A few runs are timed, the rest is extrapolated.
- bare: the shortest PyTorch loop over a tensor of all images, one run after the other; it records nothing. It is
  extrapolated, too.
- basic, local, packed, auto: `python -m initbench -m hydra/launcher=...`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarking import Table, parser_of, show
from rich.progress import track

NAMES = "default,xavier_normal,kaiming_normal,lecun_normal,orthogonal,xavier_uniform,kaiming_uniform,trunc_normal"
BATCH, RATE, VALIDATION = 128, 0.002, 5000
WIDTHS = (64, 128, 64)
PLAIN = {"template": (1, 3), "bare": (1, 5)}  # two numbers of runs, whose difference is what a run costs
OURS = ("basic", "local", "packed", "auto")
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


def bare(model: str, runs: int, folder: str) -> None:
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
            accuracies = [
                float((net(x).argmax(1) == y).float().mean())
                for x, y in ((images[held_out], labels[held_out]), (test, answers))
            ]
        print(seed, *accuracies)


def template(model: str, runs: int, folder: str) -> None:
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


def ours(launcher: str, model: str, inits: int, seeds: int, runs_dir: str, data_dir: Path) -> list[str]:
    names = ",".join(NAMES.split(",")[:inits])
    data = ["data=mnist", f"data.batch_size={BATCH}", f"data.val_size={VALIDATION}", "data.val_every_n_steps=430"]
    run = ["optimizer=adam", f"optimizer.lr={RATE}", "scheduler=constant", "trainer.max_epochs=1"]
    place = ["trainer.accelerator=cpu", "logger.mode=offline", f"runs_dir={runs_dir}", f"data_dir={data_dir.resolve()}"]
    sweep = [f"init={names}", f"seed=range({seeds})", f"hydra/launcher={launcher}"]
    return [sys.executable, "-m", "initbench", "-m", *MODELS[model], *data, *run, *place, *sweep]


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def extrapolated(way: str, model: str, runs: int, data_dir: Path) -> float:
    own = [sys.executable, __file__, "--data-dir", str(data_dir), "--model", model, "--plain", way]
    few, more = PLAIN[way]
    if runs <= more:
        return seconds([*own, str(runs)])
    first, second = seconds([*own, str(few)]), seconds([*own, str(more)])
    return second + (second - first) / (more - few) * (runs - more)


def measure(model: str, inits: int, seeds: int, ways: list[str], rounds: int, data_dir: Path) -> dict[str, Any]:
    """Seconds of every way, round by round."""
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in track(range(rounds), f"{inits * seeds} x {model}", transient=True):
        for way in ways:
            if way in PLAIN:
                took[way].append(extrapolated(way, model, inits * seeds, data_dir))
                continue
            with tempfile.TemporaryDirectory() as folder:
                took[way].append(seconds(ours(way, model, inits, seeds, folder, data_dir)))
    return {"model": model, "inits": inits, "seeds": seeds, "seconds": took}


def table(result: dict[str, Any]) -> Table:
    runs = result["inits"] * result["seeds"]
    medians = {way: statistics.median(values) for way, values in result["seconds"].items()}
    title = f"{runs} runs of {result['model']}: {result['inits']} initializers, {result['seeds']} seeds"
    rows = [
        [
            f"{way}{' (extrapolated)' if way in PLAIN and runs > PLAIN[way][1] else ''}",
            f"{median:.1f}",
            f"{median / runs:.2f}",
            *(f"{medians[other] / median:.1f}" if other in medians else "" for other in PLAIN),
        ]
        for way, median in medians.items()
    ]
    return Table(
        title, ["way", "seconds", "seconds per run", "times as fast as template", "times as fast as bare"], rows
    )


def main() -> None:
    parser = parser_of(__doc__, rounds=1)
    parser.add_argument("--model", choices=list(MODELS), default="mlp")
    parser.add_argument("--inits", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--ways", nargs="+", default=[*PLAIN, "basic", "local", "auto"], choices=[*PLAIN, *OURS])
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    parser.add_argument("--plain", nargs=2, metavar=("WAY", "RUNS"), help=argparse.SUPPRESS)  # what a process runs
    asked = parser.parse_args()
    if asked.plain:
        way, runs = asked.plain
        {"bare": bare, "template": template}[way](asked.model, int(runs), str(asked.data_dir))
        return
    result = measure(asked.model, asked.inits, asked.seeds, asked.ways, asked.rounds, asked.data_dir)
    show(table(result), result, asked.json)


if __name__ == "__main__":
    main()
