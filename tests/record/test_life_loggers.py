"""What a run's loggers are told at its end: 0 if all went well, 1 whatever raised."""

from contextlib import nullcontext
from typing import Any

import pytest

from initbench.metric import ACCURACY
from initbench.record.life import claimed
from initbench.record.store import Store


class Ending:
    def __init__(self) -> None:
        self.codes: list[int] = []

    def close(self, exit_code: int) -> None:
        self.codes.append(exit_code)


@pytest.mark.parametrize("error, code", [(None, 0), (RuntimeError, 1), (KeyboardInterrupt, 1)])
def test_the_exit_code_says_whether_the_run_went_well(small: Any, error: Any, code: int) -> None:
    ending = Ending()
    with claimed(Store(small())) as life:
        assert life is not None
        life.begin(8, ACCURACY, resumes=False)
        expected = nullcontext() if error is None else pytest.raises(error)
        with expected, life.logged(lambda run: [ending], resumes=False):  # type: ignore[list-item]  # all that is called
            if error is not None:
                raise error
    assert ending.codes == [code]


def test_what_opens_loggers_is_told_of_the_run(small: Any) -> None:
    config = small("study=depth", "init=orthogonal", "seed=3")
    store = Store(config)
    seen = []
    with claimed(store) as life:
        assert life is not None
        life.begin(8, ACCURACY, resumes=False)
        with life.logged(lambda run: seen.append(run) or [], resumes=False):  # type: ignore[func-returns-value]  # None, so []
            pass
    (run,) = seen
    assert (run.folder, run.study, run.name, run.signature) == (store.folder, "depth", store.name, store.signature)
    assert (run.tags, run.attempt, run.resumed) == (["orthogonal", "mlp", "mnist_mini"], 1, False)
    assert run.config == config
