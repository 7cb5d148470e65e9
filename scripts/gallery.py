"""Write docs/gallery.md and its figures from the runs of the studies.

    make gallery    # train the studies (hours on two cores), then write the page
    python scripts/gallery.py position_std    # write the sections of some studies again, and keep the others

The page has one section per study: the question and the expectation (the comment in its YAML file), the command, the
verdict, tables and figures.
"""

import json
import re
import sys
from itertools import takewhile
from pathlib import Path
from shutil import copy
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

import initbench
from initbench.analysis.verdict.verdict import Verdict
from initbench.report import FOLDER
from initbench.report.formats.markdown import markdown
from initbench.report.write import write_report
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
PARTS = (  # the study of the section `attribution`
    "init=between init.a=gpt2 init.b=nanochat 'init.parts=[embedding,qkv,attention_out,mlp_in,mlp_out,head]' model=gpt "
    "model.tied=false data.size=10240 data.context_length=32 data.batch_size=4 data.val_every_n_steps=20 "
    "trainer.max_epochs=1 logger=none study=attribution"
)
INTRODUCTION = """# Gallery

Studies of `conf/experiment`, run by `make gallery` on two CPU cores. Each section has the
question and the expectation, the command, and the report that `python -m initbench.report` writes.
sinusoidal_cifar needs CIFAR-10 as a folder of images, and is not part of `make gallery`; cifar_core and airbench94 need
a GPU and are not shown.
"""
NOTE = "<!-- not run: a study of minutes or hours -->\n"  # for the test that runs what the pages show
ELSEWHERE = """## More questions

[Does the best learning rate transfer](how_to/transfer.md), from a width of 64 to 512? With `complete_p` and `spectral`
it does, with `gpt2` it does not:

![the best rates of mup_transfer at each width](how_to/transfer.svg)
"""


def main(names: list[str]) -> None:
    page = ROOT / "docs" / "gallery.md"
    kept = {name: text for text in page.read_text().split("\n## ")[1:] if (name := named(text)) not in names}
    # All of them, before any picture is removed: a study may be missing.
    verdicts = {name: initbench.verdict(initbench.load_runs(ROOT / "runs" / name)) for name in names if name in STUDIES}
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES.iterdir():
        if picture.name.partition("-")[0] not in kept:
            picture.unlink()
    sections = {name: section(name, verdict, *STUDIES[name]) for name, verdict in verdicts.items()}
    if "attribution" in names:
        sections["attribution"] = attribution(ROOT / "runs" / "attribution" / FOLDER / "attribution.json")
    order = [name for name in (*STUDIES, "attribution") if name in (*names, *kept)]
    texts = (sections.get(name) or f"## {kept[name].strip()}\n" for name in order)
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
        f"{NOTE}```sh\npython -m initbench {typed}\n```",
        report.replace("\n## ", "\n### ").replace("```sh\n", f"{NOTE}```sh\n").strip(),
        *pictures,
        f"{len(comparison.runs)} runs; their training took {duration(seconds)} in total on {machine}.",
    ]
    return "\n\n".join(parts) + "\n"


def attribution(path: Path) -> str:
    """The section of the study that finds out which part of a recipe makes the difference."""
    found = json.loads(path.read_text())
    effects = found["effects"]
    draw(effects, PICTURES / "attribution-effects.svg")
    lines = [f"| effect | gain with {found['b']}, nats | 95% interval | p (Holm) |", "| --- | ---: | ---: | ---: |"]
    for row in effects:
        interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
        lines.append(f"| {row['effect']} | {row['gain']:+.3f} | {interval} | {row['p_holm']:.2g} |")
    parts = [
        "## attribution",
        f"Which part of {found['b']} makes a small GPT better or worse than {found['a']}? "
        f"{len(found['parts'])} parts in {found['arms']} arms, {found['seeds']} seeds each, on a text that is made on "
        "the spot; [Which part of a recipe makes the difference?](how_to/attribution.md) explains the numbers.",
        f"{NOTE}```sh\npython -m initbench.attribution {PARTS}\n```",
        "\n\n".join(sentence["text"] for sentence in found["sentences"]),
        "![the effects of parts and of pairs of parts, with intervals](gallery/attribution-effects.svg)",
        "\n".join(lines),
    ]
    return "\n\n".join(parts) + "\n"


def draw(effects: list[dict[str, Any]], path: Path) -> None:
    """A point and an interval for each effect; what is significant is filled."""
    mpl.rcParams.update({"svg.hashsalt": "initbench", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(8, 0.5 + 0.25 * len(effects)), layout="constrained")
    for place, row in enumerate(effects):
        colour = "#1f77b4" if row["is_shown"] else "#8a8a8a"
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.5)
        axes.plot(row["gain"], place, "o", color=colour, markerfacecolor=colour if row["is_shown"] else "white")
    axes.axvline(0, color="#8a8a8a", linewidth=0.8)
    axes.set_yticks(range(len(effects)), [row["effect"] for row in effects])
    axes.invert_yaxis()
    axes.set_xlabel("gain in test loss, nats (right: better); filled: significant")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def comment(experiment: str) -> str:
    lines = (ROOT / "conf" / "experiment" / f"{experiment}.yaml").read_text().splitlines()[1:]
    return " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), lines))


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in (*STUDIES, "attribution") if (ROOT / "runs" / name).is_dir()])
