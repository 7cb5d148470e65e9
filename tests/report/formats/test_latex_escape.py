"""Every letter becomes something that pdflatex prints."""

# ruff: noqa: RUF001 - it is about such letters

import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from initbench.report.formats.latex_escape import escape


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain 0.5", "plain 0.5"),
        ("a_b", r"a\_\allowbreak{}b"),
        ("50% & $1 #2 {x}", r"50\% \& \$1 \#2 \{x\}"),
        ("gain=1,mode=x", r"gain=\allowbreak{}1,\allowbreak{}mode=\allowbreak{}x"),
        ("é Å ñ", "é Å ñ"),
        ("α Σ Ω Α", r"$\alpha$ $\Sigma$ $\Omega$ A"),
        ("σ²", r"$\sigma$$^2$"),
        ("中", "(U+4E2D)"),
        ("\x07", " "),
    ],
)
def test_by_hand(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX on this machine")
def test_pdflatex_takes_every_letter(tmp_path: Path) -> None:
    letters = map(chr, [*range(0x2600), 0x4E2D, 0x1F600, sys.maxunicode])
    lines = "\n\n".join(escape(f"{letter}a") for letter in letters if unicodedata.category(letter) != "Cs")
    document = rf"\documentclass{{article}}\begin{{document}}\tiny {lines}\end{{document}}"
    (tmp_path / "letters.tex").write_text(document)
    typed = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "letters.tex"]
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout + (tmp_path / "letters.log").read_text(errors="replace")
