"""The notebooks in examples/ run, show what their text says, and are committed with what they show."""

import ast
import re
from collections.abc import Callable
from functools import cache

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

import examples

NAMES = ("he_2015", "hugging_face", "own_initializer", "own_lightning_module", "reading_a_study", "small_gpt")
SLOW = ("he_2015", "hugging_face", "own_lightning_module", "small_gpt")
RUN = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]
ELSEWHERE = re.compile(r"/(?:home|root|tmp|work|Users|mnt|var)/|\x1b")  # of one machine, or of a terminal


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], NotebookNode]:
    """A function that gives each notebook after a run, which is made once."""
    folder = tmp_path_factory.mktemp("examples")
    return cache(lambda name: examples.execute(examples.EXAMPLES / f"{name}.ipynb", folder / name))


def committed(name: str) -> NotebookNode:
    return nbformat.read(examples.EXAMPLES / f"{name}.ipynb", as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: NotebookNode) -> list[object]:
    return [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]


def texts(cell: NotebookNode) -> list[str]:
    """Every text that a cell shows, in each of its forms."""
    return [text for output in cell.outputs for text in output.get("data", {"": output.get("text")}).values()]


def ends_with_an_expression(cell: NotebookNode) -> bool:
    last = ast.parse(TransformerManager().transform_cell(cell.source)).body[-1]
    return isinstance(last, ast.Expr) and not cell.source.startswith(("%config", "%%capture"))


def shown(notebook: NotebookNode) -> str:
    return "\n".join(text for cell in code(notebook) for text in texts(cell))


def test_the_notebooks_are_these() -> None:
    assert tuple(path.stem for path in examples.NOTEBOOKS) == NAMES


@pytest.mark.parametrize("name", RUN)
def test_a_notebook_runs_without_a_warning_or_an_empty_output(name: str, run: Callable[[str], NotebookNode]) -> None:
    for cell in code(run(name)):
        assert all(output.get("name") != "stderr" for output in cell.outputs), cell.outputs
        assert all(text.strip() for text in texts(cell)), cell.source
        assert bool(cell.outputs) or not ends_with_an_expression(cell), cell.source


@pytest.mark.parametrize("name", RUN)
def test_the_committed_outputs_are_of_the_same_kinds(name: str, run: Callable[[str], NotebookNode]) -> None:
    """Numbers differ between processors; `make examples` writes them anew."""
    for before, now in zip(code(committed(name)), code(run(name)), strict=True):
        assert before.source == now.source
        assert kinds(before) == kinds(now), now.source


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_is_small_text_of_no_particular_machine(name: str) -> None:
    notebook = committed(name)
    assert not ELSEWHERE.search(shown(notebook))
    assert not any("image/png" in output.get("data", {}) for cell in code(notebook) for output in cell.outputs)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert not any(cell.metadata for cell in notebook.cells)
    assert (examples.EXAMPLES / f"{name}.ipynb").stat().st_size < 200_000


def test_cleaning_leaves_a_committed_notebook_as_it_is() -> None:
    for name in NAMES:
        notebook = committed(name)
        examples.clean(notebook)
        assert notebook == committed(name)


@pytest.mark.slow
def test_xavier_stalls_in_30_layers_and_kaiming_learns(run: Callable[[str], NotebookNode]) -> None:
    text = shown(run("he_2015"))
    assert "Use kaiming_normal" in text
    assert "No run of xavier_normal learned anything" in text
    for kaiming, xavier in re.findall(r"kaiming_normal +1\.0 +(\d\.\d+)\nxavier_normal +0\.5 +(\d\.\d+)", text):
        assert float(kaiming) == pytest.approx(1, rel=0.05)
        assert float(xavier) == pytest.approx(0.5, rel=0.05)
    assert text.count("measured") >= 2


@pytest.mark.slow
def test_the_own_initialization_of_gpt_2_is_that_of_its_paper_and_the_best_here(
    run: Callable[[str], NotebookNode],
) -> None:
    text = shown(run("hugging_face"))
    for projection in re.findall(r"c_proj\.weight +\w+ +default +[-.\d]+ +(\d\.\d+)", text):
        assert float(projection) == pytest.approx(0.02 / 2, rel=0.1)  # by sqrt(2 L) for L = 2 blocks
    assert text.count("c_proj.weight") >= 4
    assert "Use default" in text


def test_equal_lengths_are_equal_and_seeds_are_reproducible(run: Callable[[str], NotebookNode]) -> None:
    text = shown(run("own_initializer"))
    assert re.search(r"have a standard deviation of \de-0[78] or less", text)
    assert "\nTrue\n" in text
    assert "equal_norm(squared_length=2)" in text


def test_the_sign_flips_by_hand_give_the_p_value_of_the_verdict(run: Callable[[str], NotebookNode]) -> None:
    text = shown(run("reading_a_study"))
    p = re.search(r"(\w+) - (\w+): [-+.\d]+ points, p = ([.\d]+)", text)
    assert p is not None
    first, second, value = p.groups()
    assert re.search(rf"\d +{first} +{second} +8 +[-.\d ]+{float(value)}", text)
    assert "index.html" in text


@pytest.mark.slow
def test_a_callback_and_a_sweep_give_the_same_scores(run: Callable[[str], NotebookNode]) -> None:
    assert "18 of 18 scores are equal" in shown(run("own_lightning_module"))


@pytest.mark.slow
def test_a_recipe_of_rules_is_compared_with_names(run: Callable[[str], NotebookNode]) -> None:
    text = shown(run("small_gpt"))
    assert re.search(r"out_proj.weight +normal +0.0(?:09|10)", text)
    assert re.search(r"mean val/loss, \d\.\d+ nats", text)
