"""An MLflow server for tests: the part of its REST protocol that a client needs to record a run, over real HTTP.

The real server brings ninety packages; test_trainings_are_tracked.py holds the client against it where it is at hand.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Tracking:
    """What was recorded; the next `broken` requests are answered with 500, and while it is `silent` none is."""

    uri: str = ""
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: int = 0
    silent: bool = False

    def points(self, run: str, key: str) -> list[tuple[int, float]]:
        """(step, value) of one metric, as they came."""
        return [(each["step"], each["value"]) for each in self.runs[run]["metrics"] if each["key"] == key]

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to one request; None where nothing of that name is there."""
        match path:
            case "experiments/get-by-name":
                name = asked["experiment_name"]
                known = self.experiments.get(name)
                return {"experiment": {"experiment_id": known, "name": name}} if known else None
            case "experiments/create":
                self.experiments[asked["name"]] = str(len(self.experiments) + 1)
                return {"experiment_id": self.experiments[asked["name"]]}
            case "runs/create":
                return {"run": self._shown(self._create(asked))}
            case "runs/get":
                return {"run": self._shown(asked["run_id"])}
            case "runs/search":
                wanted = dict(re.findall(r"tags\.`([^`]+)` = '([^']*)'", asked.get("filter", "")))
                same = [run for run, held in self.runs.items() if wanted.items() <= held["tags"].items()]
                return {"runs": [self._shown(run) for run in same[: asked.get("max_results", 1)]]}
            case "runs/update":
                self.runs[asked["run_id"]]["status"] = asked["status"]
                return {"run_info": self._shown(asked["run_id"])["info"]}
            case "runs/log-batch":
                return self._log(asked)
            case "metrics/get-history":
                held = self.runs[asked["run_id"]]["metrics"]
                return {"metrics": [each for each in held if each["key"] == asked["metric_key"]]}
        raise AssertionError(f"a client of MLflow asked for {path}")

    def _create(self, asked: dict[str, Any]) -> str:
        run = f"{len(self.runs) + 1:032x}"
        tags = {each["key"]: each["value"] for each in asked.get("tags", [])}
        self.runs[run] = {
            "name": asked.get("run_name", ""),
            "experiment": asked["experiment_id"],
            "status": "RUNNING",
            "tags": tags,
            "params": {},
            "metrics": [],
        }
        return run

    def _log(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self.runs[asked["run_id"]]
        assert len(asked.get("metrics", [])) <= 1000
        assert len(asked.get("params", [])) <= 100
        held["metrics"] += asked.get("metrics", [])
        held["tags"] |= {each["key"]: each["value"] for each in asked.get("tags", [])}
        for each in asked.get("params", []):
            assert held["params"].setdefault(each["key"], each["value"]) == each["value"]
        return {}

    def _shown(self, run: str) -> dict[str, Any]:
        held = self.runs[run]
        latest = {each["key"]: each for each in held["metrics"]}
        info = {
            "run_id": run,
            "run_uuid": run,
            "run_name": held["name"],
            "experiment_id": held["experiment"],
            "user_id": "",
            "status": held["status"],
            "start_time": int(time.time() * 1000),
            "artifact_uri": "",
            "lifecycle_stage": "active",
        }
        pairs = {
            kind: [{"key": key, "value": value} for key, value in held[kind].items()] for kind in ("tags", "params")
        }
        return {"info": info, "data": {"metrics": list(latest.values()), **pairs}}


@contextmanager
def mlflow_server() -> Iterator[Tracking]:
    """A server on a free port of this machine."""
    tracking, lock = Tracking(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
            asked |= json.loads(self.rfile.read(length)) if length else {}
            if tracking.silent:
                time.sleep(60)
            with lock:
                tracking.requests.append(parts.path)
                tracking.broken -= 1
                if tracking.broken >= 0:
                    return self._say(500, {"error_code": "INTERNAL_ERROR", "message": "broken for the test"})
                shown = tracking.answer(parts.path.partition("/api/2.0/mlflow/")[2], asked)
            self._say(*((200, shown) if shown is not None else (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})))

        def _say(self, code: int, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tracking.uri = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield tracking
    finally:
        server.shutdown()
