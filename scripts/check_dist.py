"""Build the wheel and the sdist into dist/, look into both, and use the wheel in an empty environment: `make dist`.

    python scripts/check_dist.py
    python scripts/check_dist.py --python 3.12 --with torch==2.11.0 --with torchvision==0.26.0

The wheel is installed into an empty environment of `--python` (this one, unless it is given), which uv makes; `--with`
pins some of its packages. Everything there runs in an empty folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from html.parser import HTMLParser
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from tempfile import TemporaryDirectory

from readme_renderer import markdown

ROOT = Path(__file__).resolve().parent.parent
DEMO = "study=demo model=mlp model.depth=20 model.width=128 init=default,kaiming_normal,orthogonal"
SHORT = "model=mlp logger=none trainer.max_steps=30 data.val_every_n_steps=10"
PROGRAMS = (
    "initbench --version",
    "python -m initbench --version",
    f"python -m initbench -m {DEMO} logger=none seed=range(2)",
    "python -m initbench.status runs/demo",
    "python -m initbench.report runs/demo",
    "python -m initbench.init orthogonal",
    "python -m initbench.audit torchvision.models:resnet18 --seconds 5",
    f"python -m initbench.transfer {SHORT} init=orthogonal axis=width values=8,16 optimizer.lr=0.001,0.01,0.1 seed=0,1",
    f"python -m initbench.attribution {SHORT} init.a=zeros init.b=orthogonal init.parts=[input,head] seed=range(2)",
)
MADE = ("demo/report/index.html", "demo/report/report.md", "transfer/transfer.svg", "main/report/attribution.html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a version or a path, as uv takes it")
    parser.add_argument("--with", action="append", default=[], dest="pins", help="a requirement beside the wheel's own")
    arguments = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        wheel = build_and_look(ROOT / "dist", Path(folder))
        use(wheel, Path(folder), arguments.python, arguments.pins)
    print(f"dist/ is fine ({time.monotonic() - began:.0f} s)")


def build_and_look(dist: Path, folder: Path) -> Path:
    """Build both files into `dist`, and check what they hold and what they say; returns the wheel."""
    shutil.rmtree(dist, ignore_errors=True)
    run("uv", "build", "--quiet", "--out-dir", dist, ROOT)  # the wheel from the sdist
    run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)  # and from the repository
    (wheel,), (sdist,), (other,) = dist.glob("*.whl"), dist.glob("*.tar.gz"), folder.glob("*.whl")
    for path in (wheel, sdist):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB")
    same("the wheel from the sdist", checksums(wheel), "the wheel from the repository", checksums(other))
    tracked = set(run("git", "-C", ROOT, "ls-files", "-z").rstrip("\0").split("\0"))
    code = {path for path in tracked if path.startswith(("initbench/", "hydra_plugins/"))}
    config = {f"initbench/{path}" for path in tracked if path.startswith("conf/")}
    inside = {name for name, _ in checksums(wheel) if ".dist-info/" not in name}
    same("the wheel", inside, "the files of the repository that it is to hold", code | config)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("*/pyproject.toml")
    files = {str(path.relative_to(unpacked.parent)) for path in unpacked.parent.rglob("*") if path.is_file()}
    same("the sdist", files - {"PKG-INFO"}, "the repository", tracked)
    run(sys.executable, "-m", "pytest", "--collect-only", "-q", folder=unpacked.parent)
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    run(sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml", wheel)
    look_at_description(PathDistribution(zipfile.Path(wheel) / f"{wheel.name.rsplit('-', 3)[0]}.dist-info"))
    return wheel


def checksums(wheel: Path) -> set[tuple[str, int]]:
    with zipfile.ZipFile(wheel) as archive:
        return {(entry.filename, entry.CRC) for entry in archive.infolist()}


def same(what: str, found: set, wanted_what: str, wanted: set) -> None:
    if found != wanted:
        sys.exit(f"{what} and {wanted_what} differ: {sorted(found ^ wanted)}")


def look_at_description(distribution: Distribution) -> None:
    """The page on a package index has no picture, and no link that leads nowhere from there."""
    text = distribution.metadata.get_payload()
    page = markdown.render(text)
    if page is None:
        sys.exit("the README cannot be rendered: install readme_renderer[md]")
    links = Links()
    links.feed(page)
    if broken := [target for target in links.targets if not target.startswith(("https://", "#"))]:
        sys.exit(f"the description of the package has relative links or pictures: {broken}")
    if "pip install initbench" not in text or "README.zh.md" in text:
        sys.exit("the description of the package does not say how to install it, or names a page that is not there")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.targets += [value or "" for name, value in attributes if name in ("href", "src", "srcset")]


def use(wheel: Path, folder: Path, python: str, pins: list[str]) -> None:
    """Run every program, and check types, with the wheel in an environment and a folder that are empty otherwise."""
    environment, empty = folder / "environment", folder / "empty"
    empty.mkdir()
    run("uv", "venv", "--quiet", "--python", python, environment)
    there = environment / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", there, wheel, *pins)
    say = "import sys, torch, torchvision; print(sys.version.split()[0], torch.__version__, torchvision.__version__)"
    print("Python, torch, torchvision:", run(there, "-c", say).strip())
    for command in PROGRAMS:
        program, *words = command.split()
        began = time.monotonic()
        shown = run(environment / "bin" / program, *words, folder=empty)
        print(f"{time.monotonic() - began:5.0f} s  {command}")
        if "--version" in words and wheel.name.split("-")[1] not in shown:
            sys.exit(f"another version: {shown}")
    if missing := [name for name in MADE if not (empty / "runs" / name).is_file()]:
        sys.exit(f"not written: {missing}")
    shutil.copy(ROOT / "scripts" / "typed_use.py", empty)
    options = ("--strict", "--config-file=", "--cache-dir", folder / "mypy", "--python-executable", there)
    run(sys.executable, "-m", "mypy", *options, "typed_use.py", folder=empty)


def run(*words: str | Path, folder: Path | None = None) -> str:
    """What a command prints; if it fails, all that it printed, and an end."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])  # of uv, if it is only there
    done = subprocess.run(words, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}\nended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
