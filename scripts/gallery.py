"""Write docs/gallery.md and its figures from the runs of six studies.

    make gallery    # train the studies (an hour on two cores), then write the page
    python scripts/gallery.py    # only write the page

The page has one section per study: the question and the expectation (the comment in its YAML file), the command, the
verdict, tables and figures.
"""

import shutil
from itertools import takewhile
from pathlib import Path

import initbench
from initbench.analysis.verdict.verdict import Verdict
from initbench.report.formats.markdown import markdown
from initbench.report.write import FOLDER, write_report
from initbench.wording import duration

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "gallery"
# For each study its command, and the beginnings of the names of the figures that are shown.
STUDIES = {
    "quickstart": ("experiment=quickstart", ("curves", "depth")),
    "quickstart_tuned": ("'experiment=[quickstart,tuned]' study=quickstart_tuned", ("lr", "curves")),
    "mnist_core": ("experiment=mnist_core", ("ranking", "lr")),
    "depth": ("experiment=depth", ("against",)),
    "lr_sensitivity": ("experiment=lr_sensitivity", ("lr",)),
    "batchnorm_or_not": ("experiment=batchnorm_or_not", ("curves",)),
}


def main() -> None:
    # All of them, before any picture is removed: a study may be missing.
    verdicts = {name: initbench.verdict(initbench.load_runs(ROOT / "runs" / name)) for name in STUDIES}
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    sections = [section(name, verdicts[name], *how) for name, how in STUDIES.items()]
    introduction = (
        "# Gallery\n\n"
        "Six of the studies in [conf/experiment](../conf/experiment), run by `make gallery` in about an hour on two "
        "CPU cores. Each section has the question and the expectation, the command, and the report that "
        "`python -m initbench.report` writes. cifar_core and airbench94 need a GPU and are not shown.\n"
    )
    (ROOT / "docs" / "gallery.md").write_text("\n".join([introduction, *sections]))


def section(name: str, verdict: Verdict, typed: str, figures: tuple[str, ...]) -> str:
    study = ROOT / "runs" / name
    comparison = verdict.comparison
    write_report(verdict, study / FOLDER, name)
    pictures = []
    for beginning in figures:
        for path in sorted((study / FOLDER / "figures").glob(f"{beginning}*.svg")):
            shutil.copy(path, PICTURES / f"{name}-{path.name}")
            pictures.append(f"![{beginning} of {name}](gallery/{name}-{path.name})")
    heading, _, report = markdown(verdict, name).partition("\n\n")
    seconds = comparison.runs[["seconds_init", "seconds_train"]].sum().sum()
    machine = ", ".join(map(str, comparison.runs["processor"].dropna().unique()))
    parts = [
        f"#{heading}",
        comment(name.removesuffix("_tuned")),
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
    main()
