"""A stand-in for wandb's server on this machine, which the real wandb-core writes to and reads from over HTTP."""

# ruff: noqa: N803 - the names of arguments are those of the API

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import parquet
from wandb_graphql import GraphQLError, execute

KEY = "0123456789abcdef0123456789abcdef01234567"  # the form of a key, of no account
ENTITY = "someone"


class Server(ThreadingHTTPServer):
    """As much of wandb's HTTP API as runs, workspaces and the public API need. It keeps what it is sent.

    A `status` other than 200 answers every request. `dies_at` names an operation and how often it is still answered;
    after that the server is dead, and closes each connection without an answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dead = False
        self.seconds_per_byte = 0.0  # of every answer
        self.status = 200
        self.dies_at: tuple[str, int] | None = None
        self.lock = RLock()
        self.asked: list[str] = []  # the names of operations, in order
        self.runs: dict[str, dict[str, Any]] = {}  # the variables of each run's first upsert
        self.rows: dict[str, list[dict[str, Any]]] = {}  # history, by run id
        self.summaries: dict[str, dict[str, Any]] = {}
        self.exit_codes: dict[str, int] = {}
        self.files: dict[str, bytes] = {}  # uploads, by run id and name
        self.views: list[dict[str, Any]] = []
        self.exported: dict[str, int] = {}  # how many rows of a run's history are served as a parquet file

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator["Server"]:
        with cls() as server:
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: clients that are stopped in the middle of a request are part of the tests."""

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON for a POST; raises GraphQLError."""
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], body)
            return {}
        self.asked.append(body.get("operationName") or body["query"].split("(")[0].split()[-1])
        if self.dies_at and self.asked.count(self.dies_at[0]) > self.dies_at[1]:
            self.dead = True
            raise ConnectionAbortedError
        roots = {"query": self._query(), "mutation": self._mutation()}
        return {"data": execute(body["query"], body.get("variables") or {}, roots)}

    def _stream(self, run_id: str, body: dict[str, Any]) -> None:
        files = body.get("files", {})
        lines = files.get("wandb-history.jsonl", {}).get("content", [])
        self.rows.setdefault(run_id, []).extend(json.loads(line) for line in lines)
        for line in files.get("wandb-summary.json", {}).get("content", []):
            self.summaries[run_id] = json.loads(line)
        if body.get("complete"):
            self.exit_codes[run_id] = body["exitcode"]

    # What can be asked.

    def _query(self) -> dict[str, Any]:
        viewer = {"id": "u", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": {"edges": []}}
        return {
            "viewer": viewer,
            "serverInfo": {"features": []},
            "organization": lambda name: None,
            "entity": lambda name: {"organization": None},
            "project": lambda name, entityName: self._project(name),
            "model": lambda name, entityName: self._project(name),
            "clientIDMapping": lambda clientID: {"serverID": clientID},
        }

    def _project(self, project: str) -> dict[str, Any] | None:
        ids = [run_id for run_id, sent in self.runs.items() if sent["project"] == project]
        if not ids and not self.views:
            return None

        def runs(filters: str, after: str | None, first: int, order: str) -> dict[str, Any]:
            wanted = json.loads(filters or "{}").items()
            nodes = [node for node in map(self._run, ids) if all(node[key] == value for key, value in wanted)]
            start = int(after or 0)
            edges = [
                {"node": node, "cursor": str(start + i + 1)} for i, node in enumerate(nodes[start : start + first])
            ]
            more = start + first < len(nodes)
            return {"edges": edges, "pageInfo": {"endCursor": str(start + len(edges)), "hasNextPage": more}}

        def views(viewType: str, viewName: str, userName: str | None) -> dict[str, Any]:
            held = [view for view in self.views if view["name"] == viewName and view["project"] == project]
            return {"edges": [{"node": view} for view in held]}

        return {
            "id": "p",
            "name": project,
            "entity": {"id": "e", "name": ENTITY},
            "internalId": "1",
            "readOnly": False,
            "runCount": lambda filters: len(runs(filters, None, 10**9, "")["edges"]),
            "runs": runs,
            "run": lambda name: self._run(name) if name in self.runs else None,
            "bucket": lambda name, missingOk: self._run(name) if name in self.runs else None,
            "allViews": views,
            "artifact": lambda name: None,
        }

    def _run(self, run_id: str) -> dict[str, Any]:
        sent, rows = self.runs[run_id], self.rows.get(run_id, [])
        exit_code = self.exit_codes.get(run_id)
        summary = self.summaries.get(run_id, {})
        exported = self.exported.get(run_id, 0)
        second = list(self.runs).index(run_id)

        def history(minStep: int, maxStep: int, samples: int) -> list[str]:
            wanted = [row for row in rows[exported:] if minStep <= row["_step"] < maxStep]
            return [json.dumps(row) for row in wanted[:samples]]

        def parquet_history(liveKeys: list[str]) -> dict[str, Any]:
            live = [{"_step": rows[exported]["_step"]}] if exported < len(rows) else []
            urls = [f"{self.url}/exported/{run_id}"] if exported else []
            return {"parquetUrls": urls, "liveData": live}

        return {
            "id": base64.b64encode(run_id.encode()).decode(),
            "projectId": "1",
            "name": run_id,
            "displayName": sent["displayName"],
            "group": sent.get("groupName"),
            "jobType": sent.get("jobType"),
            "tags": sent.get("tags") or [],
            "config": sent["config"],
            "summaryMetrics": json.dumps(summary),
            "systemMetrics": "{}",
            "state": "running" if exit_code is None else "failed" if exit_code else "finished",
            "createdAt": f"2026-01-02T03:04:{second % 60:02d}Z",
            "heartbeatAt": f"2026-01-02T03:05:{second % 60:02d}Z",
            "historyLineCount": len(rows),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "historyKeys": {"lastStep": rows[-1]["_step"], "keys": {}, "sets": []} if rows else None,
            "history": history,
            "parquetHistory": parquet_history,
            "wandbConfig": lambda keys: '{"t": {}}',
            "user": {"name": ENTITY, "username": ENTITY},
            **dict.fromkeys(("sweepName", "commit", "description", "notes")),
            "readOnly": False,
            "project": {"id": "p", "name": sent["project"], "entity": {"id": "e", "name": ENTITY}},
        }

    # What can be changed.

    def _mutation(self) -> dict[str, Any]:
        def upsert_bucket(input: dict[str, Any]) -> dict[str, Any]:
            sent = {**input, "project": input["modelName"]}
            inserted = sent["name"] not in self.runs
            held = self.runs.setdefault(sent["name"], sent)
            held["config"] = sent["config"] or held["config"]
            return {"bucket": self._run(sent["name"]), "inserted": inserted}

        def upsert_view(input: dict[str, Any]) -> dict[str, Any]:
            held = next((view for view in self.views if view["id"] == input["id"]), None)
            if input["id"] and not held:
                raise GraphQLError(f"no view {input['id']}")
            if held is None:
                held = {"id": f"view-{len(self.views)}"}
                self.views.append(held)
            held |= {key: value for key, value in input.items() if key != "id"} | {"project": input["projectName"]}
            return {"view": held, "inserted": not input["id"]}

        def run_files(entityName: str, projectName: str, runName: str, files: list[str]) -> dict[str, Any]:
            places = [{"name": name, "uploadUrl": f"{self.url}/upload/{runName}/{name}"} for name in files]
            return {"runID": runName, "uploadHeaders": [], "files": places}

        artifact = {"id": "a", "digest": "", "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}
        return {
            "upsertBucket": upsert_bucket,
            "upsertView": upsert_view,
            "createRunFiles": lambda input: run_files(**input),
            "createArtifact": lambda input: {"artifact": artifact},
            "useArtifact": lambda input: {"artifact": artifact},
        }

    def export(self, run_id: str) -> bytes:
        """The first rows of a run's history as a parquet file, as the real server has them after a while."""
        rows = self.rows[run_id][: self.exported[run_id]]
        sink = io.BytesIO()
        keys = dict.fromkeys(key for row in rows for key in row)
        schema = pa.schema([(key, pa.int64() if key == "_step" else pa.float64()) for key in keys])
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
        return sink.getvalue()


class _Dripping(io.BufferedIOBase):
    """A stream that writes byte by byte."""

    def __init__(self, stream: Any, seconds_per_byte: float) -> None:
        self.stream, self.seconds_per_byte = stream, seconds_per_byte

    def write(self, data: Any) -> int:
        for byte in bytes(data):
            time.sleep(self.seconds_per_byte)
            self.stream.write(bytes([byte]))
            self.stream.flush()
        return len(data)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it would hold back each answer for 40 ms

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content = self.server.status, b""
        with self.server.lock:
            if self.server.dead:
                self.close_connection = True
                return
            if status == 200 and self.command == "GET":
                content = self.server.export(self.path.rpartition("/")[2])
            elif status == 200 and self.command == "PUT":
                self.server.files[unquote(self.path).removeprefix("/upload/")] = body
            elif status == 200:
                try:
                    is_json = self.headers.get("Content-Type", "").startswith("application/json")
                    content = json.dumps(self.server.answer(self.path, json.loads(body) if is_json else {})).encode()
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
                except GraphQLError as error:
                    status, content = 400, json.dumps({"errors": [{"message": str(error)}]}).encode()
        if self.server.seconds_per_byte:
            self.wfile = _Dripping(self.wfile, self.server.seconds_per_byte)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_GET = do_POST  # noqa: N815  # http.server's names

    def log_message(self, *_: object) -> None:
        """Silent."""
