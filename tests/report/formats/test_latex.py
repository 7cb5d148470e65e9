"""LaTeX tables: names stay text, and where LaTeX is there they are printed and fit the page."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import frame, record

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.report.formats import latex

NASTY = 'a_b & 50% $x$ {~^\\#} <|> "q"'


def study(names: list[str], seeds: int = 8, workloads: int = 2, **asked: Any) -> Comparison:
    rows = [
        record(init, seed, 0.9 - 0.01 * place + seed / 1000, model={"depth": depth})
        for place, init in enumerate(names)
        for seed in range(seeds)
        for depth in range(workloads)
    ]
    return Comparison(frame(*rows), **asked)


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.endswith(r"\\") and not line.startswith("\\")]


def test_names_are_escaped_and_the_best_is_bold() -> None:
    text = latex.rankings(study([NASTY, "other"], workloads=1))
    heading, best, second, *_ = rows(text)
    assert heading.startswith(r"{}initializer & mean test accuracy & ")
    escaped = r"a\_\allowbreak{}b \& 50\% \$x\$ \{\textasciitilde{}\textasciicircum{}\textbackslash{}\#\} "
    assert best.startswith("{}" + escaped + r"\textless{}\textbar{}\textgreater{}")
    assert r"& \textbf{0.9035} &" in best
    assert "textbf" not in second
    cells = [len(re.findall(r"(?<!\\)&", row)) for row in (heading, best, second)]
    assert len(set(cells)) == 1


def test_there_is_a_table_of_all_workloads_of_each_and_of_the_reference() -> None:
    text = latex.rankings(study(["a", "b", "c"], reference="b"))
    captions = re.findall(r"\\caption\{(.*)\}\\label", text)
    assert captions == [
        "2 workloads, 8 seeds each. The best mean is bold, whether or not it is significant.",
        "b against each of the others. 2 workloads, 8 seeds each.",
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=\\allowbreak{}1.",
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=\\allowbreak{}0.",
    ]
    assert "Holm's correction covers 2 pairs." in text


def test_every_two_have_a_row() -> None:
    text = latex.pairs(study(["a", "b", "c"]))
    assert [row.split(" & ")[:3] for row in rows(text)] == [["{}a", "b", "16"], ["{}a", "c", "16"], ["{}b", "c", "16"]]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX on this machine")
@pytest.mark.parametrize(
    "names, asked",
    [
        (["orthogonal", NASTY, "mine"], {"reference": "mine"}),
        ([f"orthogonal(gain={n},bias=0.12345,rules=[{{match: conv1}}])" for n in range(4)], {}),
        ([f"init{n}" for n in range(50)], {}),
        (["[B] Δ", "*", "∑ 中 🙂 é"], {"reference": "*"}),
    ],
    ids=["nasty names", "long names", "fifty of them", "odd letters"],
)
def test_it_compiles_and_no_line_is_wider_than_the_text(
    names: list[str], asked: dict[str, str], tmp_path: Path
) -> None:
    check_compiles(study(names, seeds=6, **asked), tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX on this machine")
def test_many_workloads_are_no_too_many_tables(tmp_path: Path) -> None:
    check_compiles(study(["a", "b"], seeds=3, workloads=60), tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX on this machine")
@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e9])
def test_numbers_of_any_size_fit(scale: float, tmp_path: Path) -> None:
    rows = [
        (method, seed, scale * (loss + 0.0217 * (seed % 3)))
        for method, loss in (("xavier_uniform", 2.19), ("kaiming_uniform", 2.2466), ("orthogonal", 2.2))
        for seed in range(8)
    ]
    table = pd.DataFrame(rows, columns=["init", "seed", "loss"])
    verdict = initbench.verdict(table, "loss", higher_is_better=False, reference="orthogonal", unit="nats")
    check_compiles(verdict.comparison, tmp_path)


def check_compiles(comparison: Comparison, tmp_path: Path) -> None:
    body = latex.rankings(comparison) + latex.pairs(comparison)
    packages = r"\usepackage{array,booktabs,graphicx,longtable}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    typed = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
    assert not re.findall(r"^(?:Overfull .*|LaTeX Warning: Float too large.*)$", done.stdout, flags=re.MULTILINE)
