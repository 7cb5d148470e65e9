"""Signal and gradient through depth on a study's page."""

from pathlib import Path
from typing import Any

import pytest
from initbench.report.depth import median_curves, through_depth

from initbench.analysis.frame import load_runs
from initbench.record.store import Store
from initbench.report.page import write_page


def study(small: Any, **moments: list[float] | None) -> Path:
    """A study with one run a list of second moments, layers named in an order that is not the alphabet's."""
    for seed, (label, values) in enumerate(moments.items()):
        config = small(f"seed={seed}", "study=depth")
        config["init"]["name"] = label.rstrip("0123456789")
        store = Store(config)
        store.write("finished", results={"test/accuracy": 0.5}, targets={}, started_at="2026")
        store.write_table("history", [{"step": 0, "val/accuracy": 0.1}])
        if values is not None:
            rows = [
                {"step": step, "layer": layer, "quantity": quantity, "index": 0, "value": value * (1 + 9 * step)}
                for step in (0, 1)
                for quantity in ("pre_second_moment", "gradient_second_moment", "dead")
                for layer, value in zip(("stem", "block", "head"), values, strict=True)
            ]
            store.write_table("layers", rows)
    return Path(small()["runs_dir"]) / "depth"


def test_the_median_over_seeds_layer_by_layer(small: Any) -> None:
    runs = load_runs(study(small, a1=[1.0, 2.0, 3.0], a2=[3.0, 2.0, 5.0], a3=[2.0, 9.0, 4.0], a4=None))
    curves = median_curves(runs)
    assert curves.index.tolist() == ["stem", "block", "head"]
    assert curves["pre_second_moment"].tolist() == pytest.approx([2, 2, 4])
    assert sorted(curves) == ["gradient_second_moment", "pre_second_moment"]


def test_a_line_an_initializer_and_panel_with_gaps_for_zeros(small: Any) -> None:
    runs = load_runs(study(small, a=[1.0, 0.0, 3.0], b=[1.0, 2.0, 3.0], c=None))
    figure = through_depth(sorted(runs["init"]), runs)
    assert figure is not None
    assert len(figure.data) == 4
    assert list(figure.data[0].y) == [1.0, None, 3.0]
    assert figure.layout.yaxis.type == figure.layout.yaxis2.type == "log"


def test_the_page_has_the_section_where_there_are_diagnostics(small: Any) -> None:
    folder = study(small, a=[1.0, 2.0, 3.0])
    assert "Through depth" in write_page(folder, load_runs(folder)).read_text()
    for table in folder.rglob("layers.parquet"):
        table.unlink()
    assert "Through depth" not in write_page(folder, load_runs(folder)).read_text()
