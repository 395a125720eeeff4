"""`headwater apply`: asks the running service what its file would change, shows that, and has it done.

Always true: nothing is changed before the plan was shown and agreed to, and then only if it still is that plan; the service reads
the file itself, so no value of it travels. Exit: 0 done, or nothing to do; 1 refused or not wanted; 3 the service does not answer.
Deliberately unknown: what a plan consists of.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from config.settings import parse_address
from headwater.applying import digest
from headwater.check import Checked

DONE, REFUSED, ABSENT = 0, 1, 3


class _AbsentError(Exception):
    """The service does not answer; the text says why."""


class _RefusedError(Exception):
    """The service says no; the text is what it says."""


def apply(
    checked: Checked, address: str | None, say: Callable[[str], None], agree: Callable[[], bool] | None, only_plan: bool
) -> int:
    """Show the plan and have it done; the process's exit status.

    address: of the service's HTTP, where the file does not say it. agree: asks a person; None: nobody has to be asked.
    """
    host, port = parse_address(address or checked.settings.serve.http)
    door = _Door("127.0.0.1" if host == "0.0.0.0" else host, port, checked.settings.serve.users)
    try:
        if door.service() != checked.settings.name:
            raise _RefusedError(f"at {door.where} runs {door.service()}, and the file is of {checked.settings.name}")
        lines = door.ask("BEGIN", "APPLY FILE", "ROLLBACK")
        for line in lines:
            say(line)
        if only_plan or all(line.startswith(("nothing", "note:")) for line in lines):
            return DONE
        if agree is not None and not agree():
            say("nothing was changed")
            return REFUSED
        door.ask(f"APPLY FILE '{digest(lines)}'")
    except _RefusedError as error:
        say(str(error))
        return REFUSED
    except _AbsentError as error:
        say(f"{error}; start it with `headwater run`, or name its address by --address")
        return ABSENT
    say("done")
    return DONE


class _Door:
    """The service's `POST /api/sql`."""

    def __init__(self, host: str, port: int, users: Mapping[str, str]) -> None:
        self._host, self._port = host, port
        self.where = f"{host}:{port}"
        self._headers = {"content-type": "application/json"}
        if users:
            name, password = next(iter(users.items()))
            self._headers["authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def service(self) -> str:
        """The name of the service that answers."""
        return str(self._results(["SELECT current_database()"])[0]["rows"][0][0])

    def ask(self, *statements: str) -> list[str]:
        """Execute statements; what they tell."""
        return [notice["message"] for result in self._results(statements) for notice in result["notices"]]

    def _results(self, statements: Any) -> list[dict[str, Any]]:
        body = msgspec.json.encode({"queries": [{"query": sql} for sql in statements]})
        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            connection.request("POST", "/api/sql", body, self._headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _AbsentError(f"no service answers at {self.where}: {error}") from None
        finally:
            connection.close()
        try:
            found = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            raise _AbsentError(f"what answers at {self.where} is no Headwater (HTTP {response.status})") from None
        if response.status != 200:
            raise _RefusedError(str(found.get("error", {}).get("message", f"HTTP {response.status}")))
        for result in found["results"]:
            if (refusal := result.get("error")) is not None:
                raise _RefusedError(
                    "\n".join(refusal[part] for part in ("message", "detail", "hint") if part in refusal)
                )
        return list(found["results"])
