"""Secrets in configs, commands, and messages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import FAST, command

from initbench import masking
from initbench.masking import hide, masked


@pytest.fixture(autouse=True)
def unlearned() -> Iterator[None]:
    masking._seen.clear()
    yield
    masking._seen.clear()


@pytest.mark.parametrize(
    "text, shown",
    [
        ("python -m initbench +logger.api_key=a1b2c3 init=zeros", "python -m initbench +logger.api_key=*** init=zeros"),
        ("logger.x.password=1234567", "logger.x.password=***"),
        ("++passwords.of.x=hunter2", "++passwords.of.x=***"),
        ("'+logger={project: p, auth_token: a1b2c3}'", "'+logger={project: p, auth_token: ***}'"),
        ("data.wandbApiKey='a b c'", "data.wandbApiKey='***'"),
        ("WANDB_API_KEY=a1b2c3", "WANDB_API_KEY=***"),
        ("-m logger.token=a1,b2 seed=0,1", "-m logger.token=*** seed=0,1"),
        ("url=https://me:p4/ss@host/x?token=z1z1z1&a=1", "url=https://me:***@host/x?token=***&a=1"),
        ("+model.credentials={user: bob, pin: {a: 1}} seed=0", "+model.credentials=*** seed=0"),
        ("+logger.api_key=[a1b2c3,d4e5f6] init.rules=[]", "+logger.api_key=*** init.rules=[]"),
        ("model.password=[a1,b2 cannot be read", "model.password=*** cannot be read"),
        ("+model.creds={user: bob}", "+model.creds=***"),
        ("'+model.password=a b;c' seed=0", "'+model.password=***' seed=0"),
        ("""'+model.password=a'"'"'b;c' seed=0""", "'+model.password=***' seed=0"),
        ("+model.password2=a1 +model.my_pass=a1", "+model.password2=*** +model.my_pass=***"),
        ("+model.secret=${oc.env:MINE} seed=0", None),
        ("api_key=1234567890 https://h/x?X-Amz-Signature=a1b2&y=2", "api_key=*** https://h/x?X-Amz-Signature=***&y=2"),
        ("'Authorization: Bearer a1.b2.c3'", "'Authorization: ***'"),
        ("git clone https://me:p@ss@host/x?a=b", "git clone https://me:***@host/x?a=b"),
        ("model.x=hf_AbCdEfGhIjKlMnOpQrStUv", "model.x=***"),
        ("Interpolation key 'nope' not found full_key: model.depth", None),
        ("model.num_tokens=4 model.class_token=true init.key_dim=3", None),
        ("KeyError: 'from my own scheduler'", None),
        ("unknown key: depht. Keys of model: depth, width", None),
        ("seed=range(10) optimizer.lr=0.1 model.keyword=relu https://host:8080/x", None),
        ("logger.token=null", None),
    ],
)
def test_secrets_are_known_by_their_keys_and_by_urls(text: str, shown: str | None) -> None:
    assert hide(text) == (shown or text)


def test_the_whole_of_an_argument_with_a_secret_key_is_the_secret() -> None:
    typed = ["+model.password=a b;c&d", "+model.password=a\"b'c", "init=zeros", "'+model.x=1"]
    assert masking.hide_all(typed) == ["+model.password=***", "+model.password=***", "init=zeros", "'+model.x=1"]


@pytest.mark.parametrize("text", ["a" * 10**6, "a=" * 10**5, "a:" * 10**5, "https://" * 10**5, "'a=" * 10**5])
def test_long_messages_are_read_once(text: str) -> None:
    assert hide(f"{text} password=a1b2c3") == f"{text} password=***"


def test_a_config_is_masked_at_any_depth_and_keeps_what_is_no_secret() -> None:
    config = {
        "logger": {"name": "wandb", "api_key": "a1", "url": "http://u:pw@h", "deep": [{"secret": "x"}]},
        "credentials": {"user": "me", "number": 5},
        "model": {"num_tokens": 5, "key": {"dim": 3, "activation": "relu"}, "class_token": True},
        "password": 1234,
        "seed": 0,
        "token": None,
    }
    assert masked(config) == {
        "logger": {"name": "wandb", "api_key": "***", "url": "http://u:***@h", "deep": [{"secret": "***"}]},
        "credentials": {"user": "***", "number": "***"},
        "model": {"num_tokens": 5, "key": {"dim": 3, "activation": "relu"}, "class_token": True},
        "password": "***",
        "seed": 0,
        "token": None,
    }
    assert config["password"] == 1234


def test_a_secret_that_was_seen_is_masked_in_what_quotes_it() -> None:
    hide("logger.api_key=a1b2c3d4")
    masked({"password": "correct horse"})
    assert hide("401: key a1b2c3d4 and correct horse are refused") == "401: key *** and *** are refused"


def test_a_secret_that_contains_another_is_masked_as_a_whole() -> None:
    hide("password=a1b2c3 token=a1b2c3-d4e5 secret=x-a1b2c3-d4e5")
    assert hide("seen: a1b2c3, a1b2c3-d4e5 and x-a1b2c3-d4e5") == "seen: ***, *** and ***"


def test_each_of_several_values_is_a_secret() -> None:
    masking.hide_all(["logger.token=a1b2c3,d4e5f6"])
    masked({"tokens": ["g7h8i9", "j1k2l3"]})
    assert hide("d4e5f6, j1k2l3 and seed=0,1 are refused") == "***, *** and seed=0,1 are refused"


MINE = """
import logging

def small_(tensor, layer, generator, *, std, api_key):
    logging.getLogger("mine").warning("key %s", api_key)
    if layer.name.startswith("classifier") and api_key.endswith("fail"):
        raise RuntimeError(f"the server refuses {api_key}")
    tensor.normal_(0, std)
"""
SECRET = "s3cr3t-v4lue"


def test_no_file_and_no_line_of_a_sweep_has_a_secret(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "small.yaml").write_text("_target_: mine.small_\nstd: 0.01\napi_key: ???\n")
    typed = [*FAST[1:], "logger=csv", "--config-dir", "conf", "init=small", f"init.api_key={SECRET},{SECRET}fail"]
    done = command(tmp_path, *typed, "-m", "hydra/launcher=local", "seed=0,1,2")
    assert done.returncode == 2
    assert "the server refuses ***" in done.stderr
    wrong = command(tmp_path, *FAST, "logger=wandb", f"+logger.api_key={SECRET}")
    assert wrong.returncode == 2
    for said in (done, wrong):
        lines = (said.stdout + said.stderr).splitlines()
        assert not [line for line in lines if SECRET in line and not line.startswith("key ")]  # the function's own
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


CRASHING = """
import torch

class Net(torch.nn.Module):
    def __init__(self, in_channels, image_size, num_classes, password):
        super().__init__()
        self.linear, self.password, self.passes = torch.nn.Linear(784, 10), password, 0

    def forward(self, x):
        self.passes += 1
        if self.passes > 5:  # the first are before training
            raise RuntimeError(f"the server\\x1b[31m refuses {self.password}")
        return self.linear(x.flatten(1))
"""


def test_the_traceback_of_a_run_that_crashes_has_no_secret(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CRASHING)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "net.yaml").write_text("_target_: mine.Net\npassword: ???\n")
    typed = [*FAST, "--config-dir", "conf", "model=net", "model.password=${oc.env:KEY_OF_MINE}"]
    done = command(tmp_path, *typed, KEY_OF_MINE=SECRET)
    assert done.returncode == 1
    assert "Traceback (most recent call last):\n" in done.stderr
    assert done.stderr.endswith("RuntimeError: the server\\x1b[31m refuses ***\n")
    assert "Error executing job" not in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_hydras_own_files_and_folders_have_no_secret(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CRASHING.replace("self.passes += 1", ""))
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "net.yaml").write_text("_target_: mine.Net\npassword: ???\n")
    typed = [*FAST, "--config-dir", "conf", "model=net", f"model.password={SECRET}", "hydra.output_subdir=.hydra"]
    here = ["-m", "seed=0,1", "hydra/launcher=basic", "hydra.sweep.subdir=${hydra.job.override_dirname}"]
    for more in (["hydra.run.dir=one"], ["study=planned", *here], ["study=basic", "hydra/sweeper=basic", *here[:3]]):
        done = command(tmp_path, *typed, *more)
        assert done.returncode == 0, done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"multirun.yaml", "overrides.yaml", "hydra.yaml", "config.yaml"} < {path.name for path in files}
    assert [path for path in files if SECRET in str(path) or SECRET.encode() in path.read_bytes()] == []
    assert len({path.parent for path in files if path.name == "overrides.yaml" and "planned" in str(path)}) == 2
