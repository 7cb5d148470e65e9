"""A stand-in for wandb's server on this machine, for the real wandb-core to talk to over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "0123456789abcdef0123456789abcdef01234567"  # the form of a key, of no account


class Api(ThreadingHTTPServer):
    """As much of wandb's HTTP API as the real wandb-core needs to upload a run. It keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dead = False
        self.runs: dict[str, dict[str, Any]] = {}  # the variables of each run's first upsert
        self.rows: dict[str, list[dict[str, Any]]] = {}  # history, by run id
        self.exit_codes: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator["Api"]:
        with cls() as server:
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/file_stream"):
            run_id = path.split("/")[-2]
            lines = body.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
            self.rows.setdefault(run_id, []).extend(json.loads(line) for line in lines)
            if body.get("complete"):
                self.exit_codes[run_id] = body["exitcode"]
            return {}
        variables = body.get("variables", {})
        if body.get("operationName") == "CreateRunFiles":
            return {"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}}
        if body.get("operationName") == "UpsertBucket":
            self.runs.setdefault(variables["name"], variables)
            entity = {"id": "e", "name": "someone"}
            project = {"id": "p", "name": variables["project"], "entity": entity}
            bucket = {"id": "b", "name": variables["name"], "displayName": "", "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        return {"data": {}}


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.dead:
            self.close_connection = True
            return
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        answer = json.dumps(self.server.answer(self.path, json.loads(body) if is_json else {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST  # noqa: N815  # http.server's name

    def log_message(self, *_: object) -> None:
        """Silent."""
