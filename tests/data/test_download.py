"""Several processes that miss a dataset, against a server of our own on this machine."""

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from initbench.data import torchvision_dataset
from initbench.data.arrays import Arrays

READ = """
import json, sys
from torchvision import datasets
from initbench.data import torchvision_dataset
root, mirror, resources = json.loads(sys.argv[1])
datasets.MNIST.mirrors, datasets.MNIST.resources = [mirror], [tuple(pair) for pair in resources]
print(len(torchvision_dataset("MNIST", root).train_images))
"""
TRAIN, TEST = 30, 10
GETS = 2  # of a file that is downloaded once: torchvision's first only follows redirects


def archives() -> dict[str, bytes]:
    """MNIST's four files, small."""
    generator = np.random.default_rng(0)
    contents = {}
    for prefix, n in (("train", TRAIN), ("t10k", TEST)):
        images = generator.integers(256, size=(n, 28, 28), dtype=np.uint8)
        labels = generator.integers(10, size=n, dtype=np.uint8)
        contents[f"{prefix}-images-idx3-ubyte.gz"] = struct.pack(">IIII", 0x803, n, 28, 28) + images.tobytes()
        contents[f"{prefix}-labels-idx1-ubyte.gz"] = struct.pack(">II", 0x801, n) + labels.tobytes()
    return {name: gzip.compress(content, mtime=0) for name, content in contents.items()}


class Server(ThreadingHTTPServer):
    """Counts the GETs; of `stuck` it sends half until `release` is set, and then nothing more."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = archives()
        self.resources = [(name, hashlib.md5(content).hexdigest()) for name, content in self.files.items()]
        self.asked: Counter[str] = Counter()
        self.stuck = ""
        self.reached, self.release = threading.Event(), threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> bytes:
        content = self.server.files[self.path.strip("/")]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_GET(self) -> None:
        content = self.do_HEAD()
        if self.server.stuck == self.path.strip("/"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.reached.set()
            self.server.release.wait()
            return
        self.server.asked[self.path.strip("/")] += 1
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.release.set()
        server.shutdown()


def start(root: Path, server: Server) -> "subprocess.Popen[str]":
    mirror = f"http://127.0.0.1:{server.server_port}/"
    arguments = json.dumps([str(root), mirror, server.resources])
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return subprocess.Popen(
        [sys.executable, "-c", READ, arguments],
        env=environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_reads(process: "subprocess.Popen[str]") -> str:
    out, errors = process.communicate(timeout=200)
    assert (process.returncode, out) == (0, f"{TRAIN}\n"), errors
    return errors


def assert_clean(root: Path, server: Server) -> None:
    """What was downloaded is there, and nothing else but the lock."""
    found = {path.name for path in (root / "MNIST" / "raw").iterdir()}
    assert found == {Path(name).stem for name in server.files} | {".MNIST.lock"}


def test_of_several_processes_that_miss_a_dataset_one_downloads_it(tmp_path: Path, server: Server) -> None:
    for process in [start(tmp_path, server) for _ in range(2)]:
        assert_reads(process)
    assert server.asked == dict.fromkeys(server.files, GETS)
    assert_clean(tmp_path, server)


def test_when_the_one_that_downloads_is_killed_the_next_one_does(tmp_path: Path, server: Server) -> None:
    server.stuck = "t10k-images-idx3-ubyte.gz"
    first = start(tmp_path, server)
    assert server.reached.wait(200)
    second = start(tmp_path, server)
    assert second.stderr is not None
    assert "waiting for another process that is downloading MNIST" in second.stderr.readline()
    assert not list((tmp_path / "MNIST" / "raw").glob("*ubyte")), "nothing half can be taken as whole"
    server.stuck = ""
    first.kill()
    first.communicate()
    assert_reads(second)
    assert server.asked == dict.fromkeys(server.files, GETS), "what the first had downloaded is not downloaded again"
    assert_clean(tmp_path, server)


@pytest.fixture
def read(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Arrays]:
    """What `start` does, in this process."""
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", server.resources)
    monkeypatch.setenv("no_proxy", "*")
    return lambda: torchvision_dataset("MNIST", str(tmp_path))


def test_a_download_that_is_cut_short_is_refused_and_leaves_nothing(
    tmp_path: Path, server: Server, read: Callable[[], Arrays]
) -> None:
    whole = server.files["train-labels-idx1-ubyte.gz"]
    server.files["train-labels-idx1-ubyte.gz"] = whole[:-1]
    with pytest.raises(
        ValueError, match=r"MNIST is missing and cannot be downloaded \(.*corrupted.*\)\. Put train-images"
    ):
        read()
    assert [path.name for path in (tmp_path / "MNIST" / "raw").iterdir()] == [".MNIST.lock"]
    server.files["train-labels-idx1-ubyte.gz"] = whole
    assert len(read().train_images) == TRAIN


def test_archives_that_were_put_there_need_no_network(
    tmp_path: Path, server: Server, read: Callable[[], Arrays]
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in server.files.items():
        (raw / name).write_bytes(content)
    assert len(read().train_images) == TRAIN
    assert server.asked == {}
    assert {path.name for path in raw.glob("*.gz")} == set(server.files), "they stay"
