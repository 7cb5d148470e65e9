"""What a dashboard that could not be published does to the exit code of the report: the report stands, and it is 1."""

from pathlib import Path

import pytest
from frames import record
from studies import write_study
from wandb_server import Server

from initbench.report.__main__ import main

pytestmark = pytest.mark.usefixtures("wandb_alone")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    runs = [record(init, n, 0.8 + 0.1 * (init == "a") + n / 100) for init in "ab" for n in (0, 1)]
    return write_study(tmp_path / "demo", *runs)


@pytest.mark.parametrize("asked", [[], ["--json"]])
def test_where_nothing_is_published_it_is_1(study: Path, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(study), "--wandb", "someone/initbench", *asked])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "not published to wandb: no API key" in said.out + said.err
    assert (study / "report" / "index.html").exists()


def test_where_it_is_published_the_report_ends_as_any_other(study: Path, server: Server) -> None:
    main([str(study), "--wandb", "someone/initbench"])
    assert server.views
