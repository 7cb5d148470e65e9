"""`python -m MODULE` without the seconds of imports: a fork of a process that has imported torch, Lightning and others.

Of our own modules nothing is imported before the fork, so that what these read from the environment, the streams and
the folder is read anew. Programs that are started in a terminal, by a shell or as `python -c` start from nothing.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

PRELOADED = ("hydra.main", "lightning.pytorch", "pandas", "pyarrow.parquet", "pydantic", "rich.progress", "scipy.stats")


@cache
def _server() -> socket.socket:
    """The connection to the process that forks. It ends with this one, whose end of the connection is then closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    null = subprocess.DEVNULL
    # Not this file, whose names those of the module that is run would replace.
    code = f"import sys; sys.path[0] = {str(Path(__file__).parent)!r}; import forking; forking.main({theirs.fileno()})"
    words = [sys.executable, "-c", code]
    process = subprocess.Popen(words, env=environment, stdin=null, stdout=null, pass_fds=[theirs.fileno()])
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def run(
    folder: Path, words: list[str], environment: Mapping[str, str] | None = None, timeout: float = 200
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run(words, ...)` with both outputs, for [sys.executable, "-m", module, *arguments]."""
    server = _server()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as asked:
        asked.write(json.dumps([str(folder.resolve()), words, dict(environment or os.environ)]).encode())
        asked.seek(0)
        server.settimeout(timeout)
        try:
            socket.send_fds(server, [b"run"], [asked.fileno(), out.fileno(), err.fileno()])
            child = int(server.recv(64))
            code = int(server.recv(64))
        except BaseException as error:  # what comes later is no answer to the next request: that has a new server
            _server.cache_clear()
            server.close()
            if isinstance(error, TimeoutError):
                os.kill(child, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, timeout) from None
            raise
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(words, code, *texts)


def _serve(connection: socket.socket) -> None:
    """Fork for each request; return in the child, ready to run the module that `sys.argv` names."""
    base = sys.path[1:]  # without the folder of this file
    while True:
        message, files, _, _ = socket.recv_fds(connection, 64, 3)
        if not message:
            os._exit(0)
        if child := os.fork():
            for each in files:
                os.close(each)
            connection.send(str(child).encode())
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        connection.close()
        with os.fdopen(files[0]) as asked:
            folder, words, environment = json.load(asked)
        for source, target in zip(files[1:], (1, 2), strict=True):
            os.dup2(source, target)
            os.close(source)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[:] = [str(Path.cwd()), *paths, *base]
        sys.argv, sys.orig_argv = words[2:], words
        return


def _end(code: int) -> NoReturn:
    """Exit as Python does, but leave memory to the system: to take apart all that was imported takes two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # it may be closed, or nobody may read it any more
            stream.flush()
    os._exit(code)


def main(connection: int) -> None:
    """Import, fork for each request, and run what was asked for in the fork."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # or a collection would copy what is shared with this process
    _serve(socket.socket(fileno=connection))
    try:
        runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]  # what `python -m` calls
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        _end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    except BaseException:  # as Python ends a program that raised
        sys.excepthook(*sys.exc_info())
        _end(1)
    _end(0)
