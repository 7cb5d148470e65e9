"""Where numbers come from."""

import os

import torch

from initbench.record.provenance import provenance


def test_versions_hardware_and_process() -> None:
    found = provenance()
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"]["initbench"]
    assert found["threads"] == torch.get_num_threads()
    assert found["pid"] == os.getpid()
    assert "pytest" in found["command"]
