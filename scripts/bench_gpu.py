"""What one NVIDIA GPU does: a compiled ResNet, packs of up to 512 models, airbench94, too little memory, and tests.

    python scripts/bench_gpu.py [--data-dir data] [--json FILE.jsonl]      # `make bench-gpu`; at most ten minutes
    python scripts/bench_gpu.py --device cpu --tiny                       # all in miniature; two to three minutes

Each part is a process with a bound on its time, and writes a row as soon as it has it; a part that fails stops no
other. Not yet run on a GPU. See docs/benchmarks/README.md.
"""

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_overhead import bare, initbench, measure_one
from bench_packed import BATCH, experiment_of, packed_step, plain_step, rate
from benchmarking import Table, file_name, in_words, load, load_in_words, machine, ratios, take_turns, timing
from readme_blocks import BENCHMARKS, write_index

from initbench.data import Arrays
from initbench.packed.eligible import forward_for
from initbench.packed.forward import Forward
from initbench.training.build import RunParts

ROOT = Path(__file__).resolve().parents[1]
CIFAR = "cifar10-jpeg"  # in the folder of the data
RANDOM = ["data._target_=bench_gpu.random_images", "data.folder=none"]  # with data=image_folder


def random_images(
    *, root: str, folder: str, channels: int, image_size: int, images: int, memory_fraction: float = 1.0
) -> Arrays:
    """Noise in ten classes, in place of a folder. Its process may use no more than this fraction of a GPU's memory."""
    if memory_fraction < 1:
        torch.cuda.set_per_process_memory_fraction(memory_fraction)
    generator = torch.Generator().manual_seed(0)
    shape, tests = (channels, image_size, image_size), images // 5
    pixels = torch.randint(256, (images + tests, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.arange(images + tests) % 10
    return Arrays(pixels[:images], labels[:images], pixels[images:], labels[images:], tuple("0123456789"))


@dataclass(frozen=True)
class Setup:
    """What all parts are given: gpu or cpu, whether in miniature, where data are, and the file of the rows."""

    device: str
    tiny: bool
    data_dir: Path
    file: Path

    def say(self, case: str, found: str, aim: str = "", **numbers: Any) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"case": case, "found": found, "aim": aim, **numbers}) + "\n")
        print(f"{case}: {found}", flush=True)

    @property
    def trainer(self) -> list[str]:
        return [f"trainer.accelerator={self.device}"]

    @property
    def has_cifar(self) -> bool:
        return not self.tiny and (self.data_dir / CIFAR).is_dir()

    @property
    def cifar(self) -> list[str]:
        """CIFAR-10, or noise of the same shape."""
        if self.has_cifar:
            return [f"data_dir={self.data_dir.resolve()}", f"data.folder={CIFAR}", "data.image_size=32"]
        return [*RANDOM, f"+data.images={160 if self.tiny else 50_000}", "data.image_size=32"]

    def sweep(self, *arguments: str, seconds: float) -> tuple[list[dict[str, Any]], str]:
        """The records of a sweep that is stopped after so many seconds, and what it printed."""
        # A worker that outlives a stopped sweep may still write.
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with temporary as folder, Path(folder, "printed").open("w") as printed:
            command = [sys.executable, "-m", "initbench", *arguments, *self.trainer, "logger=none"]
            paths = f"{ROOT / 'scripts'}{os.pathsep}{os.environ.get('PYTHONPATH', ROOT)}"
            try:
                subprocess.run(
                    [*command, f"runs_dir={folder}"],
                    env={**os.environ, "PYTHONPATH": paths},
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    timeout=seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                print("stopped", flush=True)  # what is finished counts
            records = [json.loads(path.read_text()) for path in sorted(Path(folder).rglob("record.json"))]
            return [record for record in records if record["status"] == "finished"], Path(folder, "printed").read_text()


def resnet18(setup: Setup) -> None:
    """Epochs of CIFAR-10 in bfloat16, compiled; initbench over the shortest loop."""
    model, shape = ("lenet", ["data.batch_size=32"]) if setup.tiny else ("resnet18", [])
    own = [*setup.trainer, *setup.cifar, *shape, "trainer.precision=bf16-mixed", "trainer.compile=true"]
    variants = {"bare": bare, "initbench": initbench}
    # Two rounds warm up: what is compiled for one loop is compiled once more after the other has run.
    seconds = measure_one(model, "image_folder", 3, own, variants, warm_up=2)["seconds"]
    ratio, epoch = ratios(seconds["initbench"], seconds["bare"]), timing(seconds["initbench"])
    images = "CIFAR-10" if setup.has_cifar else "random images"
    words = f"epoch over that of the shortest loop: {ratio.cell('.3f')}; {epoch.median:.2f} s ({epoch.range('.2f')})"
    setup.say(f"{model} on {images}", words, "at most 1.05", seconds=seconds)


def packs(setup: Setup) -> None:
    """Replicas trained as one model over one model in the shortest loop, and the memory of each."""
    text = ["task=language_model", "model.width=128", *["data.context_length=16"] * setup.tiny]
    cases = [("mlp", [], "30 at the best size"), ("lenet", [], "8 at the best size"), ("gpt", text, "")]
    for model, own, aim in cases:
        parts = experiment_of(model, setup.device, *own)
        forward = forward_for(parts)
        if isinstance(forward, str):
            setup.say(model, f"cannot be packed: {forward}", aim)
            continue
        for replicas in (1, 4) if setup.tiny else (1, 8, 64) if model == "gpt" else (1, 8, 64, 256, 512):
            case = f"{model} x {replicas}"
            try:
                found, memory = measure_pack(parts, forward, replicas, 0.1 if setup.tiny else 0.7)
            except torch.OutOfMemoryError:
                setup.say(case, "out of memory", aim)
                continue
            each = [replicas * steps_per_second for steps_per_second in found["packed"]]
            ratio, speed = ratios(each, found["bare"]), timing([BATCH * rate for rate in each])
            words = f"speed over bare: {ratio.cell('.1f')}; {speed.median:,.0f} samples/s ({speed.range(',.0f')})"
            if memory is not None:
                words += f"; {memory / 1e6:.1f} MB per replica"
            setup.say(case, words, aim, steps_per_second=found, bytes_per_replica=memory)


def measure_pack(
    parts: RunParts, forward: Forward, replicas: int, seconds: float
) -> tuple[dict[str, list[float]], float | None]:
    """Steps per second of one model and of the pack, and the most bytes of a GPU that each replica took."""
    device = parts.recipe.device
    gc.collect()  # what an earlier pack has left is not of this one
    before = torch.cuda.memory_allocated() if device.type == "cuda" else 0
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    steps = {
        "bare": plain_step(parts, torch.contiguous_format),
        "packed": packed_step(parts, forward, replicas),
    }
    ways = {way: partial(rate, step, seconds, device) for way, step in steps.items()}
    found = take_turns(ways, 3, warm_up=1, title=f"{replicas} replicas")
    memory = (torch.cuda.max_memory_allocated() - before) / replicas if device.type == "cuda" else None
    return found, memory


def airbench94(setup: Setup) -> None:
    """Three runs of the experiment with the initializer that it is designed for."""
    if not setup.has_cifar and not setup.tiny:
        setup.say("airbench94", f"left out: there is no {CIFAR} in {setup.data_dir}")
        return
    runs = 1 if setup.tiny else 3
    own = ["data.batch_size=64", "data.val_size=32", "trainer.max_epochs=1"] if setup.tiny else ["trainer.compile=true"]
    arguments = ["experiment=airbench94", "init=patch_whitening", "data=image_folder", *setup.cifar, *own]
    more = ["data.targets=[0.94]", f"seed=range({runs})"]
    records, printed = setup.sweep(*arguments, *more, seconds=BOUNDS["airbench94"] - 15)
    if not records:
        setup.say("airbench94", "no run was finished", printed=printed[-2000:])
        return
    reached = [record["targets"]["0.94"] for record in records]
    right = timing([100 * record["results"]["test/accuracy"] for record in records])
    when = ", ".join(f"{target['seconds']:.1f}" if target["reached"] else "never" for target in reached)
    words = f"seconds to 94% in validation: {when}; test accuracy, %: {right.median:.1f} ({right.range('.1f')})"
    seconds = [record["seconds_train"] for record in records]
    setup.say(f"airbench94, {len(records)} of {runs} runs", words, targets=reached, seconds_train=seconds)


def memory(setup: Setup) -> None:
    """A pack that needs more memory than it may have, and what becomes of its runs."""
    runs, limit = (4 if setup.tiny else 64), []
    if setup.device == "gpu":
        parts = experiment_of("lenet", "gpu")
        forward = forward_for(parts)
        assert not isinstance(forward, str), forward
        step = packed_step(parts, forward, runs)
        step()
        step()
        fraction = 0.7 * torch.cuda.max_memory_allocated() / torch.cuda.get_device_properties(0).total_memory
        limit = [f"+data.memory_fraction={fraction:.6f}"]
    data = ["data=image_folder", *RANDOM, "+data.images=1280", "data.channels=1", "data.image_size=28"]
    run = ["model=lenet", "data.flip=false", f"data.batch_size={BATCH}", "trainer.max_steps=10"]
    packed = ["hydra/launcher=packed", "hydra.launcher.slots=1", f"hydra.launcher.replicas={runs}"]
    arguments = ["-m", *run, *data, *limit, *packed, f"seed=range({runs})"]
    records, printed = setup.sweep(*arguments, seconds=BOUNDS["memory"] - 15)
    sizes = Counter(record["replicas"] for record in records)
    packs = " and ".join(f"{number // size} of {size}" for size, number in sorted(sizes.items())) or "none"
    lines = [line for line in printed.splitlines() if "out of memory" in line]
    words = f"{len(records)} of {runs} runs finished; packs: {packs}" + "".join(f"; it said: {line}" for line in lines)
    case = "7/10 of the memory that a pack needs" if limit else "memory without a limit, which needs a GPU"
    setup.say(case, words, "halved, and all runs finish", sizes=sizes, printed=printed[-2000:])


def tests(setup: Setup) -> None:
    """The tests that need a GPU; elsewhere they are skipped."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *map(str, files)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    last = ended.stdout.strip().splitlines()[-1].strip("= ")
    setup.say("pytest -m gpu", last, "all pass", printed=ended.stdout[-4000:])


PARTS: dict[str, Callable[[Setup], None]] = {of.__name__: of for of in (resnet18, packs, airbench94, memory, tests)}
BOUNDS = {"resnet18": 170, "packs": 150, "airbench94": 120, "memory": 60, "tests": 80}  # seconds


def run_part(part: str, setup: Setup, arguments: list[str]) -> None:
    """In a process of its own, whose children end with it."""
    # A miniature is no measurement: two threads on busy cores would only wait for each other.
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if setup.tiny else {})}
    command = [sys.executable, __file__, *arguments, "--part", part]
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = child.wait(BOUNDS[part])
        if code < 0:
            setup.say(part, f"ended by signal {-code}")
    except subprocess.TimeoutExpired:
        setup.say(part, f"stopped after {BOUNDS[part]} s")
    finally:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def table(rows: list[dict[str, Any]]) -> Table:
    return Table("On a GPU", ["case", "found", "aim"], [[row["case"], row["found"], row["aim"]] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--tiny", action="store_true", help="all parts in miniature, to try the script")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    parser.add_argument("--json", type=Path, help="the file of the rows; a page is written beside it")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)  # what a process does
    asked = parser.parse_args()
    if asked.device == "gpu" and not torch.cuda.is_available():
        parser.error("there is no NVIDIA GPU; try the script with --device cpu --tiny")
    here = machine()
    folder = Path(tempfile.mkdtemp()) if asked.tiny else BENCHMARKS
    setup = Setup(asked.device, asked.tiny, asked.data_dir, asked.json or folder / f"gpu-{file_name(here)}.jsonl")
    if asked.part:
        try:
            PARTS[asked.part](setup)
        except Exception as error:  # whatever a part dies of, the page says it, and the other parts follow
            setup.say(asked.part, f"failed: {type(error).__name__}: {error}".partition("\n")[0])
            raise
        return
    arguments = ["--device", asked.device, "--data-dir", str(asked.data_dir), "--json", str(setup.file)]
    before = load()
    setup.file.write_text("")
    for part in PARTS:
        run_part(part, setup, arguments + ["--tiny"] * asked.tiny)
    rows = [json.loads(line) for line in setup.file.read_text().splitlines()]
    found = table(rows)
    found.print()
    words = f"{in_words(here)}\n\n{load_in_words(before, load())}"
    name = setup.file.stem
    links = f"[How to read it](README.md#on-a-gpu); the numbers are in [{name}.jsonl]({name}.jsonl)."
    page = f"# {name}\n\nWritten by `make bench-gpu`. {links}\n\n{words}\n\n{found.markdown()}\n"
    setup.file.with_suffix(".md").write_text(page)
    print(words, setup.file, sep="\n")
    if setup.file.parent == BENCHMARKS:
        write_index()


if __name__ == "__main__":
    main()
