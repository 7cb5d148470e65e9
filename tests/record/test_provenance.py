"""Where numbers come from."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from initbench.record.provenance import provenance


def test_versions_hardware_and_process() -> None:
    found = provenance()
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"]["initbench"]
    assert found["threads"] == torch.get_num_threads()
    assert found["pid"] == os.getpid()


def test_the_command_is_what_was_typed() -> None:
    code = "from initbench.record.provenance import provenance; print(provenance()['command'])"
    typed = ["-W", "ignore", "-c", code, "init=a b", "-m"]
    found = subprocess.run([sys.executable, *typed], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == shlex.join([Path(sys.executable).name, *typed])
