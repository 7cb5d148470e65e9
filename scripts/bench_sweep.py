"""What a whole sweep costs, from a cold process to its last table, against writing it plainly.

    python scripts/bench_sweep.py [--inits 8] [--seeds 8] [--rounds 3] [--data-dir data]

The sweep: inits x seeds of an MLP (784-64-64-64-10, batch norm, Adam, batches of 128), one epoch of MNIST, validation
and test included, records written, no wandb. Each way is a process of its own; rounds are interleaved, medians are
shown.

- template: what the common Lightning templates do a run, in one process: torchvision's MNIST behind a DataLoader, a
  Trainer, `self.log`. Only a few runs are timed: the rest is extrapolated, which is said.
- bare: the shortest loop of PyTorch over a tensor of all images, one run after the other.
- basic, local, packed: `python -m initbench -m hydra/launcher=...`.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

NAMES = "default,xavier_normal,kaiming_normal,lecun_normal,orthogonal,xavier_uniform,kaiming_uniform,trunc_normal"
BATCH, WIDTH, RATE, VALIDATION = 128, 64, 0.002, 5000
TEMPLATE_RUNS = (1, 3)  # two numbers of runs, whose difference is what a run costs


def network() -> torch.nn.Sequential:
    nn, layers, width = torch.nn, [torch.nn.Flatten()], 784
    for _ in range(3):
        layers += [nn.Linear(width, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()]
        width = WIDTH
    return nn.Sequential(*layers, nn.Linear(width, 10))


def bare(runs: int, folder: str) -> None:
    """One run after the other; nothing is kept but the accuracies."""
    from torch.nn.functional import cross_entropy
    from torchvision.datasets import MNIST

    parts = [MNIST(folder, train=train) for train in (True, False)]
    (images, labels), (test, answers) = (((p.data / 255 - 0.13) / 0.31, p.targets) for p in parts)
    held_out = slice(len(images) - VALIDATION, None)
    for seed in range(runs):
        torch.manual_seed(seed)
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        model.train()
        for index in torch.randperm(len(images) - VALIDATION).split(BATCH):
            cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            accuracies = [
                float((model(x).argmax(1) == y).float().mean())
                for x, y in ((images[held_out], labels[held_out]), (test, answers))
            ]
        print(seed, *accuracies)


def template(runs: int, folder: str) -> None:
    """A dataset, three loaders, a module that logs each step and a Trainer for each run."""
    import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, random_split
    from torchmetrics.classification import MulticlassAccuracy
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, Normalize, ToTensor

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()
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
        trainer = L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
        module = Module()
        trainer.fit(module, DataLoader(train, BATCH, shuffle=True), DataLoader(held_out, BATCH))
        trainer.test(module, DataLoader(test, BATCH))


def ours(launcher: str, asked: argparse.Namespace, runs_dir: str) -> list[str]:
    names = ",".join(NAMES.split(",")[: asked.inits])
    model = ["model=mlp", "model.depth=3", f"model.width={WIDTH}", "model.norm=batch"]
    data = ["data=mnist", f"data.batch_size={BATCH}", f"data.val_size={VALIDATION}", "data.val_every_n_steps=430"]
    run = ["optimizer=adam", f"optimizer.lr={RATE}", "scheduler=constant", "trainer.max_epochs=1", "logger=none"]
    sweep = [f"init={names}", f"seed=range({asked.seeds})", f"runs_dir={runs_dir}", f"hydra/launcher={launcher}"]
    return [sys.executable, "-m", "initbench", "-m", *model, *data, *run, *sweep, "trainer.accelerator=cpu"]


def seconds(command: list[str], asked: argparse.Namespace) -> float:
    environment = {**os.environ, "INITBENCH_DATA": str(asked.data_dir.resolve())}
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inits", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    parser.add_argument("--plain", nargs=2, metavar=("WAY", "RUNS"), help=argparse.SUPPRESS)  # what a process runs
    asked = parser.parse_args()
    if asked.plain:
        {"bare": bare, "template": template}[asked.plain[0]](int(asked.plain[1]), str(asked.data_dir))
        return
    runs = asked.inits * asked.seeds
    own = [sys.executable, __file__, "--data-dir", str(asked.data_dir), "--plain"]
    took: dict[str, list[float]] = {way: [] for way in ("template", "bare", "basic", "local", "auto")}
    for _ in track(range(asked.rounds), "rounds", transient=True):
        few, more = (seconds([*own, "template", str(number)], asked) for number in TEMPLATE_RUNS)
        each = (more - few) / (TEMPLATE_RUNS[1] - TEMPLATE_RUNS[0])
        took["template"].append(few + each * (runs - TEMPLATE_RUNS[0]))
        took["bare"].append(seconds([*own, "bare", str(runs)], asked))
        for launcher in ("basic", "local", "auto"):
            with tempfile.TemporaryDirectory() as folder:
                took[launcher].append(seconds(ours(launcher, asked, folder), asked))
    medians = {way: statistics.median(values) for way, values in took.items()}
    table = Table(
        box=SIMPLE_HEAD, title=f"{runs} runs: {asked.inits} initializers, {asked.seeds} seeds", title_justify="left"
    )
    for column in ("way", "seconds", "a run", "template / it", "bare / it"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, median in medians.items():
        ratios = [f"{medians[other] / median:.1f}" for other in ("template", "bare")]
        name = f"{way} (extrapolated from {TEMPLATE_RUNS[1]} runs)" if way == "template" else way
        table.add_row(name, f"{median:.1f}", f"{median / runs:.2f}", *ratios)
    Console().print(table)
    Console().print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")


if __name__ == "__main__":
    main()
