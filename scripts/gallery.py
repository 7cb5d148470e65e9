"""Write docs/gallery.md and its figures from the runs of the studies.

    make gallery    # train the studies (hours on two cores), then write the page
    python scripts/gallery.py position_std    # write the sections of some studies again, and keep the others

The page has one section per study: the question and the expectation (the comment in its YAML file), the command, the
verdict, tables and figures.
"""

import re
import sys
from itertools import takewhile
from pathlib import Path
from shutil import copy

import initbench
from initbench.analysis.verdict.verdict import Verdict
from initbench.report.formats.markdown import markdown
from initbench.report.write import FOLDER, write_report
from initbench.wording import duration

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "gallery"
# For each study its command, and the beginnings of the names of the figures that are shown.
TUNED = "'experiment=[{},tuned]' 'tuning.lr_factors=[0.3,1,3]'"
CIFAR = (  # from a folder of its images, cifar10-jpeg/train/<class>/*.jpg and cifar10-jpeg/test/<class>/*.jpg
    "study=sinusoidal_cifar init=sinusoidal,default,kaiming_normal model=lenet data=image_folder "
    "data.folder=cifar10-jpeg data.image_size=32 data.flip=false"
)
STUDIES = {
    "quickstart": ("experiment=quickstart", ("curves", "depth")),
    "quickstart_tuned": ("'experiment=[quickstart,tuned]' study=quickstart_tuned", ("lr", "curves")),
    "mnist_core": ("experiment=mnist_core", ("ranking", "lr")),
    "depth": ("experiment=depth", ("against",)),
    "lr_sensitivity": ("experiment=lr_sensitivity", ("lr",)),
    "batchnorm_or_not": ("experiment=batchnorm_or_not", ("curves",)),
    "gpt_recipes": (TUNED.format("gpt_recipes"), ("lr", "curves")),
    "position_std": (TUNED.format("position_std"), ("curves",)),
    "ffn_scale": (TUNED.format("ffn_scale"), ("curves",)),
    "sinusoidal": (TUNED.format("sinusoidal"), ("lr", "curves")),
    "sinusoidal_cifar": (f"{TUNED.format('sinusoidal')} {CIFAR}", ("lr", "curves")),
    "mup_transfer": ("experiment=mup_transfer", ("lr", "against")),
}
INTRODUCTION = """# Gallery

Studies of `conf/experiment`, run by `make gallery` on two CPU cores. Each section has the
question and the expectation, the command, and the report that `python -m initbench.report` writes.
sinusoidal_cifar needs CIFAR-10 as a folder of images, and is not part of `make gallery`; cifar_core and airbench94 need
a GPU and are not shown.
"""
ELSEWHERE = """## More questions

[Does the best learning rate transfer](how_to/transfer.md), from a width of 64 to 512? With `complete_p` and `spectral`
it does, with `gpt2` it does not:

![the best rates of mup_transfer at each width](how_to/transfer.svg)

[Which part of a recipe makes the difference](how_to/attribution.md#what-comes-out)? Of four parts of nanochat, the
embedding costs a small GPT most, and the queries, keys and values gain some of it back.
"""


def main(names: list[str]) -> None:
    page = ROOT / "docs" / "gallery.md"
    kept = {name: text for text in page.read_text().split("\n## ")[1:] if (name := named(text)) not in names}
    # All of them, before any picture is removed: a study may be missing.
    verdicts = {name: initbench.verdict(initbench.load_runs(ROOT / "runs" / name)) for name in names}
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES.iterdir():
        if picture.name.partition("-")[0] not in kept:
            picture.unlink()
    sections = {name: section(name, verdicts[name], *STUDIES[name]) for name in names}
    texts = (sections.get(name) or f"## {kept[name].strip()}\n" for name in STUDIES if name in (*names, *kept))
    page.write_text("\n".join([INTRODUCTION, *texts, ELSEWHERE]))


def named(text: str) -> str:
    """The name of the study that a section is about, which is its heading."""
    return text.partition("\n")[0].replace("\\", "")


def section(name: str, verdict: Verdict, typed: str, figures: tuple[str, ...]) -> str:
    study = ROOT / "runs" / name
    comparison = verdict.comparison
    write_report(verdict, study / FOLDER, name)
    pictures = []
    for beginning in figures:
        for path in sorted((study / FOLDER / "figures").glob(f"{beginning}*.svg")):
            copy(path, PICTURES / f"{name}-{path.name}")
            pictures.append(f"![{beginning} of {name}](gallery/{name}-{path.name})")
    heading, _, report = markdown(verdict, name).partition("\n\n")
    seconds = comparison.runs[["seconds_init", "seconds_train"]].sum().sum()
    machine = ", ".join(map(str, comparison.runs["processor"].dropna().unique()))
    parts = [
        f"#{heading}",
        comment(re.findall(r"experiment=\[?(\w+)", typed)[0]),
        f"```sh\npython -m initbench {typed}\n```",
        report.replace("\n## ", "\n### ").strip(),
        *pictures,
        f"{len(comparison.runs)} runs; their training took {duration(seconds)} in total on {machine}.",
    ]
    return "\n\n".join(parts) + "\n"


def comment(experiment: str) -> str:
    lines = (ROOT / "conf" / "experiment" / f"{experiment}.yaml").read_text().splitlines()[1:]
    return " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), lines))


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in STUDIES if (ROOT / "runs" / name).is_dir()])
