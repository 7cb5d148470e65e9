"""Results in a notebook: HTML in which names are text, and one output per cell."""

import math
import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbclient import NotebookClient

from initbench import notebook

HOSTILE = "<b>&amp;\"'$x$</b>"


class Cells(HTMLParser):
    """The texts of a table's cells, row by row, and the names of all tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_names_are_text_wherever_they_stand() -> None:
    rows = [[HOSTILE, "1"]]
    parts = [notebook.paragraph(HOSTILE), notebook.paragraph(HOSTILE, strong=True), notebook.commands([HOSTILE])]
    parts += [notebook.bullets([HOSTILE]), notebook.table([HOSTILE, "b"], rows, title=HOSTILE)]
    for part in parts:
        assert "b" not in Cells(notebook.block(part)).tags
    assert Cells(parts[-1]).rows == [[HOSTILE, "b"], [HOSTILE, "1"]]


def test_a_dollar_starts_no_formula() -> None:
    assert notebook.block("").startswith('<div class="tex2jax_ignore mathjax_ignore">')


def test_colours_are_those_of_the_page() -> None:
    html = notebook.table(["a"], [["1"]], sparklines=[notebook.sparkline([0, 1])])
    assert "currentColor" in html
    assert not re.search("#[0-9a-f]{3}|rgb|background|[^t]color:", html)


def test_a_long_table_scrolls_and_counts_the_rows_that_it_leaves_out() -> None:
    html = notebook.table(["layer", "value"], [[f"layer{row}", "0"] for row in range(1000)])
    rows = Cells(html).rows[1:]
    assert "max-height" in html
    assert len(rows) == 201
    assert rows[0][0] == "layer0"
    assert rows[100] == ["… 800 more rows …"]
    assert rows[-1][0] == "layer999"


def test_a_table_of_200_rows_is_whole() -> None:
    assert len(Cells(notebook.table(["a"], [["x"]] * 200)).rows) == 201


def points(svg: str) -> list[tuple[str, float, float]]:
    return [(pen, float(x), float(y)) for pen, x, y in re.findall(r"([ML])([\d.]+) ([\d.]+)", svg)]


def test_a_sparkline_of_decades_is_straight() -> None:
    line = points(notebook.sparkline([1.0, 1e-3, 1e-6], is_log=True))
    assert [y for _, _, y in line] == [2, 9, 16]
    assert [x for _, x, _ in line] == [2, 36, 70]


def test_a_sparkline_does_not_draw_noise_as_a_trend() -> None:
    for is_log in (True, False):
        heights = [y for _, _, y in points(notebook.sparkline([1.0, 1.01, 0.99], is_log=is_log))]
        assert max(heights) - min(heights) < 1


def test_a_sparkline_has_gaps_where_there_is_nothing_to_draw() -> None:
    line = points(notebook.sparkline([1, 2, math.nan, 0, math.inf, 3, 4], is_log=True))
    assert [pen for pen, _, _ in line] == ["M", "L", "M", "L"]
    assert notebook.sparkline([math.nan, 1.0, 0.0], is_log=True) == ""
    assert notebook.sparkline([]) == ""


CELLS = {
    "setup": "import pandas as pd\nimport torch\nfrom torch import nn\nimport initbench\n"
    "model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3))\n"
    "batch = (torch.randn(8, 10), torch.arange(8) % 3)\n"
    "table = pd.DataFrame({'init': ['a', 'b'] * 6, 'seed': sorted([*range(6)] * 2), 'acc': [0.5, 0.6] * 6})",
    "diagnosis": "initbench.diagnose(model, batch)",
    "frame": "initbench.describe(model, 'orthogonal')",
    "plan": "initbench.Initializer('orthogonal').plan(model)",
    "outcome": "initbench.Initializer('orthogonal').apply(model, seed=0)",
    "verdict": "initbench.verdict(table, 'acc')",
    "model": "initbench.initialize(model, 'orthogonal')",
    "initializer": "initbench.Initializer('orthogonal')",
    "figure": "initbench.diagnose(model, batch).figure()",
}


@pytest.fixture(scope="module")
def shown() -> dict[str, list[nbformat.NotebookNode]]:
    """The outputs of each cell."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    return {name: cell.outputs for name, cell in zip(CELLS, cells, strict=True)}


def test_imports_show_nothing(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    assert shown["setup"] == []


@pytest.mark.parametrize("name", ["diagnosis", "frame", "plan", "outcome", "verdict"])
def test_a_result_is_one_output_with_a_table_and_its_text(
    name: str, shown: dict[str, list[nbformat.NotebookNode]]
) -> None:
    (output,) = shown[name]
    assert "<table" in output.data["text/html"]
    assert output.data["text/plain"].strip()
    assert "Parameter containing" not in output.data["text/plain"]


@pytest.mark.parametrize("name", ["model", "initializer"])
def test_other_objects_are_text_without_addresses(name: str, shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    (output,) = shown[name]
    assert output.data["text/plain"]
    assert " at 0x" not in output.data["text/plain"]


def test_a_figure_is_drawn_by_the_page(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    (output,) = shown["figure"]
    assert len(output.data["application/vnd.plotly.v1+json"]["data"]) > 6


def test_words_stand_left_and_numbers_right_under_a_caption() -> None:
    html = notebook.table(["a", "b", "c"], [["x", "y", "1"]], title="of 1 < 2", names=2, sparklines=["", "", "<svg>"])
    sides = re.findall("<t[hd] style=.text-align: (left|right)", html)
    assert sides == ["left", "left", "right"] * 3
    assert "of 1 &lt; 2</caption>" in html
    assert "<svg></tr></thead>" in html
    assert "caption" not in notebook.table(["a"], [["x"]])


def test_a_table_of_201_rows_lacks_the_one_in_the_middle() -> None:
    rows = Cells(notebook.table(["a", "b"], [[f"row{row}", "0"] for row in range(201)])).rows[1:]
    assert len(rows) == 201
    assert [row[0] for row in rows[99:102]] == ["row99", "… 1 more rows …", "row101"]


def test_commands_are_lines_and_texts_items() -> None:
    assert notebook.commands(["a", "b"]) == "<pre><code>a\nb</code></pre>"
    assert notebook.bullets(["a", "b"]) == "<ul><li>a</li><li>b</li></ul>"
    assert notebook.paragraph("a") == "<p>a</p>"
    assert notebook.paragraph("a", strong=True) == "<p><strong>a</strong></p>"


def test_a_share_has_the_whole_height_and_more_than_that_is_scaled() -> None:
    assert [y for _, _, y in points(notebook.sparkline([0.0, 1.0]))] == [16, 2]
    assert [y for _, _, y in points(notebook.sparkline([0.0, 0.5]))] == [12.5, 5.5]
    assert [y for _, _, y in points(notebook.sparkline([-3.0, 0.0, 3.0]))] == [16, 9, 2]
