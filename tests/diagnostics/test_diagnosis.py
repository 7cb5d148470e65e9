"""The shapes in which a diagnosis is had: rows, scalars, a table, a figure."""

import math
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from initbench import diagnose
from initbench.diagnostics.diagnosis import _HEADINGS, Diagnosis
from initbench.diagnostics.probe import QUANTITIES
from initbench.figures import log_axis


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    return diagnose(model, (torch.randn(10, 6), torch.arange(10) % 3))


def test_rows_are_tidy(diagnosis: Diagnosis) -> None:
    rows = diagnosis.rows()
    keys = [(row["layer"], row["quantity"], row["index"]) for row in rows]
    assert len(set(keys)) == len(keys) == 2 * (len(QUANTITIES) + 5) + 2 + 5 + 3
    value = {key: row["value"] for key, row in zip(keys, rows, strict=True)}
    assert value["0", "dead", 0] == diagnosis.layers.loc["0", "dead"]
    assert [value["", "singular_value", i] for i in range(3)] == diagnosis.net["singular_values"]
    pairs = [value["2", "correlation", i] for i in range(5)]
    assert diagnosis.layers.loc["2", "correlation"] == pytest.approx(sum(pairs) / 5)


def test_scalars_are_finite_numbers_for_loggers(diagnosis: Diagnosis) -> None:
    scalars = diagnosis.scalars()
    assert all(math.isfinite(value) for value in scalars.values())
    assert "dead/2" not in scalars  # no activation follows
    assert scalars["loss"] == diagnosis.net["loss"]
    assert scalars["singular_value/largest"] >= scalars["singular_value/smallest"]


def test_what_is_infinite_is_in_the_table_and_not_among_the_scalars() -> None:
    """A gradient relative to weights that are zero is infinite, and without a gradient it is unknown."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3))
    for layer in model[1:]:
        nn.init.zeros_(layer.weight)
    found = diagnose(model, (torch.randn(10, 6), torch.arange(10) % 3))
    assert found.layers.loc["0", "gradient_to_weight"] == 0
    assert math.isnan(found.layers.loc["1", "gradient_to_weight"])
    nn.init.ones_(model[1].bias)
    found = diagnose(model, (torch.randn(10, 6), torch.arange(10) % 3))
    assert math.isinf(found.layers.loc["2", "gradient_to_weight"])
    assert found.scalars().keys() & {f"gradient_to_weight/{name}" for name in "012"} == {"gradient_to_weight/0"}


def test_the_table_has_a_line_a_layer_and_every_number_whole(diagnosis: Diagnosis) -> None:
    text = str(diagnosis)
    assert "…" not in text
    for number in diagnosis.layers["pre_second_moment"]:
        assert f"{number:.3g}" in text
    assert f"ln(classes) {math.log(3):.4g}" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_no_number_is_lost_in_a_narrow_terminal(diagnosis: Diagnosis, width: int) -> None:
    console = Console(width=width, file=StringIO(), color_system=None)
    console.print(diagnosis)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    for quantity in _HEADINGS:
        for number in diagnosis.layers[quantity].dropna():
            assert f"{number:.3g}" in shown


def test_in_a_notebook_the_loss_comes_first_then_a_line_a_layer(diagnosis: Diagnosis) -> None:
    html = diagnosis._repr_html_()
    assert html.index("ln(classes)") < html.index("<table")
    assert "<script" not in html
    for name, number in diagnosis.layers["pre_second_moment"].items():
        assert f">{name}<" in html
        assert f">{number:.3g}<" in html
    assert html.count("<svg") == sum(diagnosis.layers[quantity].notna().sum() > 1 for quantity in _HEADINGS)


def test_in_a_notebook_names_and_reasons_are_text() -> None:
    model = nn.Sequential()
    model.add_module("<b>&amp;", nn.Linear(6, 3))
    found = diagnose(model, (torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 3))
    html = Diagnosis(found.readings, found.net, {"singular_values": "TypeError: <lambda> & [red]co[/]"})._repr_html_()
    assert ">&lt;b&gt;&amp;amp;<" in html
    assert "TypeError: &lt;lambda&gt; &amp; [red]co[/]" in html
    assert "<b>" not in html
    assert "<lambda>" not in html


def test_a_deep_network_takes_no_more_of_a_notebook_than_a_screen() -> None:
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(300)))
    batch = (torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 3)
    html = diagnose(model, batch)._repr_html_()
    assert "… 100 more rows …" in html
    assert ">0<" in html
    assert ">299<" in html


def test_the_figure_draws_every_layer(diagnosis: Diagnosis) -> None:
    figure = diagnosis.figure()
    lines = {trace.name: trace for trace in figure.data if trace.name}
    assert list(lines["pre-"].y) == diagnosis.layers["pre_second_moment"].tolist()
    assert list(lines["singular value"].y) == diagnosis.net["singular_values"]
    assert [list(lines[name].x) for name in ("pre-", "mean", "singular value")] == [[1, 2], [0, 1, 2], [1, 2, 3]]
    assert len(lines["mean"].y) == 3  # the input and two layers
    assert figure.layout.yaxis.type == "log"


def test_zeros_and_unknown_values_leave_gaps_on_logarithmic_axes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    figure = diagnose(model, (torch.randn(10, 6), torch.arange(10) % 3)).figure()
    lines = {trace.name: list(trace.y) for trace in figure.data if trace.name}
    assert [value is None for value in lines["pre-"]] == [False, True]
    assert [value is None for value in lines["post-activation"]] == [False, True]
    assert lines["gradient"][0] is None
    assert lines["singular value"] == [None] * 3
    assert lines["dead units"][0] == 0  # on a linear axis


def test_ticks_of_logarithmic_axes() -> None:
    assert log_axis([1e-20, 1.0])["dtick"] == 3
    assert log_axis([1.0, 1e5, None, 0.0])["dtick"] == 1
    assert log_axis([1.0, 20.0])["dtick"] == "D2"
    assert "dtick" not in log_axis([1.0, 2.0])
    assert "dtick" not in log_axis([])
