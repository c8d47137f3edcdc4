"""A W&B server for tests, as much of one as the real client needs: it keeps what it is sent, run by run."""

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY = "0123456789abcdef0123456789abcdef01234567"
HISTORY = "wandb-history.jsonl"
PROJECT = {"id": "p", "name": "clrbench", "entity": {"id": "e", "name": "somebody"}}
# What is asked of a server for workspaces and reports.
VIEWS = ("UpsertView2", "upsertView", "View", "ProjectViews", "ProjectInternalId", "GetProjects")
# What would change what the client does, of the person who runs the tests.
OF_THE_USER = (
    *("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR", "WANDB_NAME", "WANDB_TAGS", "WANDB_RUN_GROUP"),
    *("WANDB_JOB_TYPE", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_RESUME"),
)
PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
MOMENT = "2026-01-01T00:00:00Z"


class WandbServer:
    """Serves on a free port of 127.0.0.1 within a `with` block.

    refuses_key: answers 401 to everything. dies_after: drops every connection after that many requests.
    deleted: ids of runs that W&B never takes again.
    projects: those that are there; a run makes its own. views: workspaces and reports; only an id finds one to be updated.
    """

    def __init__(self) -> None:
        self.refuses_key = False
        self.deleted: set[str] = set()
        self.dies_after: int | None = None
        self.requests: list[str] = []
        self.projects: set[str] = set()
        self.views: list[dict[str, Any]] = []
        self.buckets: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
        self.uploads: dict[str, dict[str, bytes]] = defaultdict(dict)
        self._http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_state": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def lines(self, run_id: str, file: str = HISTORY) -> list[dict[str, Any]]:
        """The lines of a run's file, in order."""
        return [json.loads(line) for _, line in sorted(self.files[run_id][file].items())]

    def summary(self, run_id: str) -> dict[str, Any]:
        lines = self.lines(run_id, "wandb-summary.json")
        return lines[-1] if lines else {}

    @property
    def is_dead(self) -> bool:
        return self.dies_after is not None and len(self.requests) >= self.dies_after

    def graphql(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        if operation == "RunResumeStatus":
            known = variables["name"] in self.buckets
            return {"model": {**PROJECT, "bucket": self._status(variables["name"]) if known else None}}
        if operation == "UpsertBucket":
            return {"upsertBucket": self._upsert(variables)}
        if operation == "CreateRunFiles":
            name = variables["run"]
            files = [{"name": file, "uploadUrl": f"{self.url}/upload/{name}/{file}"} for file in variables["files"]]
            return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": files}}
        if operation in ("Viewer", "GetDefaultEntity"):
            return {"viewer": {"id": "v", "entity": "somebody", "username": "somebody", "flags": "{}", "teams": {"edges": []}}}
        if operation in VIEWS:
            return self._views(operation, variables)
        return {}

    def spec(self, name: str) -> dict[str, Any]:
        """What was saved under a name that people see; there must be one such view alone."""
        (view,) = [view for view in self.views if view["displayName"] == name]
        spec: dict[str, Any] = json.loads(view["spec"])
        return spec

    def _views(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        if operation in ("UpsertView2", "upsertView"):
            return {"upsertView": self._upsert_view(variables)}
        if operation == "GetProjects":
            edges = [{"node": _project_node(name)} for name in sorted(self.projects)]
            return {"models": {"edges": edges, "pageInfo": PAGE}}
        project = variables["name"] if operation == "View" else variables.get("projectName") or variables.get("project")
        if project not in self.projects:
            return {"project": None}
        if operation == "ProjectInternalId":
            return {"project": {"id": "p", "internalId": "17"}}
        kind, name = variables.get("viewType") or "runs", variables.get("viewName")
        found = [view for view in self.views if view["type"] == kind and name in (None, view["name"])]
        edges = [{"node": view, "cursor": view["id"]} for view in found if view["projectName"] == project]
        return {"project": {"allViews": {"edges": edges, "pageInfo": PAGE}}}

    def _upsert_view(self, variables: dict[str, Any]) -> dict[str, Any]:
        known = [view for view in self.views if view["id"] == variables.get("id")]
        view = known[0] if known else {"id": f"view-{len(self.views)}"}
        view |= {key: value for key, value in variables.items() if key != "id"}
        if not known:
            self.views.append(view)
        project = {"id": "p", "name": view["projectName"], "entityName": view["entityName"]}
        return {"view": {**view, "project": project, "updatedAt": MOMENT}, "inserted": not known}

    def _status(self, name: str) -> dict[str, Any]:
        bucket, files, history = self.buckets[name], self.files[name], self.lines(name)
        return {
            "id": bucket["id"],
            "name": name,
            "displayName": bucket["displayName"],
            "config": bucket["config"] or "{}",
            "tags": bucket["tags"],
            "summaryMetrics": json.dumps(self.summary(name)),
            "historyLineCount": len(history),
            "historyTail": json.dumps([json.dumps(line) for line in history[-1:]]),
            "eventsLineCount": len(files["wandb-events.jsonl"]),
            "eventsTail": "[]",
            "logLineCount": len(files["output.log"]),
            # Without it, the client takes the run for one that has not begun.
            "wandbConfig": json.dumps({"t": {}}),
        }

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        self.projects.add(variables["project"])
        inserted = name not in self.buckets
        bucket = self.buckets.setdefault(name, {"id": f"bucket-{name}"})
        for key in ("displayName", "config", "tags", "groupName", "jobType", "project", "entity"):
            if variables.get(key) is not None or key not in bucket:
                bucket[key] = variables.get(key)
        entity = {"id": "e", "name": bucket["entity"] or "somebody"}
        answer = {
            "id": bucket["id"],
            "name": name,
            "displayName": bucket["displayName"],
            "description": "",
            "config": bucket["config"],
            "sweepName": "",
            "project": {"id": "p", "name": bucket["project"], "entity": entity},
            "historyLineCount": len(self.files[name][HISTORY]),
        }
        return {"bucket": answer, "inserted": inserted}

    def stream(self, name: str, body: dict[str, Any]) -> None:
        for file, chunk in (body.get("files") or {}).items():
            for position, line in enumerate(chunk["content"], chunk["offset"]):
                self.files[name][file][position] = line
        if "exitcode" in body:
            self.buckets[name]["exitcode"] = body["exitcode"]


def _project_node(name: str) -> dict[str, Any]:
    node = {"__typename": "Project", "id": "p", "name": name, "entityName": "somebody", "createdAt": MOMENT}
    return {**node, "isBenchmark": False, "user": None}


class _Http(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: clients break connections off."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: WandbServer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        state = self.server_state
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_turned_away():
            return
        content = json.loads(body)
        if self.path == "/graphql":
            operation = content.get("operationName") or re.split(r"\W+", content["query"].strip(), maxsplit=2)[1]
            state.requests.append(operation)
            name = (content.get("variables") or {}).get("name")
            if operation == "UpsertBucket" and name in state.deleted:
                self._answer(
                    409, {"errors": [{"message": f"run {name} was previously created and deleted; try a new run name"}]}
                )
                return
            self._answer(200, {"data": state.graphql(operation, content.get("variables") or {})})
        else:
            state.requests.append("file_stream")
            state.stream(self.path.split("/")[-2], content)
            self._answer(200, {"exitcode": None, "limits": {}})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._is_turned_away():
            _, _, name, file = self.path.split("/", 3)
            self.server_state.uploads[name][file] = body
            self._answer(200, {})

    def do_GET(self) -> None:
        if not self._is_turned_away():
            self._answer(404, {})

    def _is_turned_away(self) -> bool:
        if self.server_state.is_dead:
            self.close_connection = True
            return True
        if self.server_state.refuses_key:
            self._answer(401, {"errors": [{"message": "invalid key"}]})
        return self.server_state.refuses_key

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[WandbServer]:
    """A server, with an account on it, in place of that of the person who runs the tests."""
    for name in OF_THE_USER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    # What the client has learned about one server and key would hold for the next test's as well.
    import wandb

    wandb.teardown()
    with WandbServer() as serving:
        monkeypatch.setenv("WANDB_BASE_URL", serving.url)
        yield serving
        wandb.teardown()
