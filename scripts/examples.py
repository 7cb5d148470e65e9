"""Run the notebooks in examples/ and write their outputs into them: `python scripts/examples.py` or `make examples`."""

import os
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from rich.console import Console

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path, folder: Path) -> NotebookNode:
    """The notebook after a run in a fresh copy of examples/, made at `folder`.

    Raises CellExecutionError for a cell that fails, a `!command` included.
    """
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("runs"))
    notebook = nbformat.read(path, as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and re.search("^!", cell.source, re.MULTILINE):
            cells.append(nbformat.v4.new_code_cell("assert _exit_code == 0"))  # which IPython does not look at
    ran = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(ran, timeout=300, kernel_name="python3", coalesce_streams=True)
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # for `!python`
    client.execute(cwd=str(folder), env={**os.environ, "PATH": search})
    return notebook


def clean(notebook: NotebookNode) -> None:
    """Leave only what a reader sees: no times, no versions, cells numbered from 1."""
    notebook.metadata = nbformat.from_dict(_METADATA)
    number = 0
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            number += 1
            cell.execution_count = number
            for output in cell.outputs:
                _clean(output, number)


def _clean(output: NotebookNode, number: int) -> None:
    if output.output_type == "execute_result":
        output.execution_count = number
    if output.output_type == "stream":
        output.text = output.text.replace("\r\n", "\n")
    if svg := output.get("data", {}).get("image/svg+xml"):
        output.data["image/svg+xml"] = re.sub(" *<metadata>.*?</metadata>\n", "", svg, flags=re.DOTALL)


def main() -> None:
    console = Console()
    for path in [path for path in NOTEBOOKS if not sys.argv[1:] or path.stem in sys.argv[1:]]:
        with console.status(path.name), TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder) / "examples")
        clean(notebook)
        nbformat.write(notebook, path)
        console.print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
