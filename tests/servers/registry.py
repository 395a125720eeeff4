"""A schema registry for tests: Confluent's REST interface for subjects, versions and ids, on loopback.

Always true: one schema text has one id everywhere, ids count from 1, versions of a subject count from 1. Compatibility is not
checked. `fail_with` makes every answer that HTTP status, as a registry in trouble would give; `requests` lists what was asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class TestRegistry:
    """The registry's state and its server."""

    __test__ = False

    def __init__(self) -> None:
        self.fail_with: int | None = None
        self.requests: list[str] = []
        self._texts: list[dict[str, Any]] = []
        self._subjects: dict[str, list[int]] = {}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(None)

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _reply(self, body: dict[str, Any] | None) -> None:
                path = urlsplit(self.path).path
                registry.requests.append(f"{self.command} {path}")
                status, answer = registry.answer([unquote(part) for part in path.strip("/").split("/")], body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, path: list[str], body: dict[str, Any] | None) -> tuple[int, Any]:
        """Status and body of the answer."""
        if self.fail_with is not None:
            return self.fail_with, {"error_code": self.fail_with, "message": "told to fail"}
        match path:
            case ["schemas", "ids", number]:
                place = int(number) - 1
                if not 0 <= place < len(self._texts):
                    return 404, {"error_code": 40403, "message": f"Schema {number} not found"}
                return 200, self._texts[place]
            case ["subjects"]:
                return 200, sorted(self._subjects)
            case ["subjects", subject, "versions"] if body is not None:
                return 200, {"id": self._register(subject, body)}
            case ["subjects", subject, "versions", version]:
                return self._version(subject, version)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _register(self, subject: str, body: dict[str, Any]) -> int:
        entry = {key: body[key] for key in ("schema", "schemaType", "references") if body.get(key)}
        if entry not in self._texts:
            self._texts.append(entry)
        number = self._texts.index(entry) + 1
        versions = self._subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def _version(self, subject: str, version: str) -> tuple[int, dict[str, Any]]:
        versions = self._subjects.get(subject)
        if versions is None:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        place = len(versions) if version in ("latest", "-1") else int(version)
        if not 1 <= place <= len(versions):
            return 404, {"error_code": 40402, "message": f"Version {version} not found."}
        number = versions[place - 1]
        return 200, {"subject": subject, "version": place, "id": number, **self._texts[number - 1]}

    def close(self) -> None:
        """Stop answering; the address refuses connections afterwards."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def running_registry() -> Iterator[TestRegistry]:
    """An empty registry for the length of a block."""
    registry = TestRegistry()
    try:
        yield registry
    finally:
        registry.close()
