"""A session's settings: what SET, SHOW and RESET know.

Always true: a value that would change what is sent (time zone, date style, encoding) is refused unless it is the one that is
sent; names that there are not are refused, but for those with a point, which are the client's own.
Deliberately unknown: SQL, messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from planner.catalog import PUBLIC, SYSTEM
from serve.pg.clusters import known_cluster
from serve.recency import Freshness
from serve.sql.errors import QueryError
from serve.sql.schemas import CLUSTER
from serve.values import BadValue, seconds

SERVER_VERSION = "15.0"
"""The PostgreSQL whose protocol and catalog this is."""

MZ_VERSION = "v0.130.0 (Headwater)"
"""The Materialize whose catalog clients may expect: dbt-materialize asks for 0.68 and later."""

REPORTED = (
    "server_version", "server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes",
    "standard_conforming_strings", "application_name", "is_superuser", "session_authorization", "in_hot_standby",
    "default_transaction_read_only", "mz_version", "cluster", "database",
)  # fmt: skip
"""Settings that a client is told of when it connects and when they change."""

DEFAULTS: dict[str, str] = {
    "server_version": SERVER_VERSION,
    "server_version_num": "150000",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "application_name": "",
    "is_superuser": "off",
    "session_authorization": "",
    "in_hot_standby": "off",
    "default_transaction_read_only": "on",
    "transaction_read_only": "on",
    "transaction_isolation": "strict serializable",
    "default_transaction_isolation": "strict serializable",
    "default_transaction_deferrable": "off",
    "transaction_deferrable": "off",
    "search_path": "public",
    "cluster": CLUSTER,
    "database": "",
    "mz_version": MZ_VERSION,
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_min_messages": "notice",
    "max_identifier_length": "63",
    "max_index_keys": "32",
    "row_security": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "escape_string_warning": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "xmloption": "content",
    "check_function_bodies": "on",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "real_time_recency": "off",
    "real_time_recency_timeout": "10s",
}
_NAMES = {name.lower(): name for name in DEFAULTS}
_FIXED = frozenset(
    ("server_version", "server_version_num", "server_encoding", "integer_datetimes", "is_superuser", "in_hot_standby",
     "session_authorization", "max_identifier_length", "max_index_keys", "mz_version")
)  # fmt: skip
_ISOLATION = ("strict serializable", "serializable", "repeatable read", "read committed", "read uncommitted")
"""Levels that a session may ask for. Every read is of the last complete time, which is the first; the others ask for less."""
_BOUNDED = "bounded staleness"
_RECENCY = ("real_time_recency", "real_time_recency_timeout", "transaction_isolation")
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")

_PATH = frozenset(("", "$user", PUBLIC, "information_schema", *SYSTEM))
"""What a search path may name: where names without a schema are looked for is always the same."""

_UTC = frozenset(("utc", "etc/utc", "gmt", "etc/gmt", "zulu", "0", "+0", "+00", "+00:00", "00:00", "default", "local"))
_DURATION = re.compile(r"\s*(\d{1,10})\s*(us|ms|s|min|h|d)?\s*")
_MILLISECONDS = {None: 1.0, "us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}


class Settings:
    """The settings of one session."""

    def __init__(self, startup: Mapping[str, str], user: str, database: str = "") -> None:
        """startup: what the client asked for when it connected; what there is not, or cannot be, it learns from the reports."""
        self._values = dict(DEFAULTS, session_authorization=user, database=database)
        self._start = dict(self._values)
        for name, value in startup.items():
            try:
                self.set(name, value)
            except QueryError:
                continue
        self._start = dict(self._values)
        self._transaction: dict[str, str] = {}
        self.changed: list[str] = []
        """Reported settings that changed since the client was last told."""
        self.fresh: Freshness | None = self._fresh()
        """How recent a read has to be, where it has to be more than the last complete time."""

    def get(self, name: str) -> str | None:
        """The value; None when there is no such setting."""
        name = _NAMES.get(name.lower(), name.lower())
        return self._transaction.get(name, self._values.get(name))

    def show(self, name: str) -> str:
        """The value. QueryError when there is no such setting."""
        value = self.get(name)
        if value is None:
            raise QueryError("42704", f'unrecognized configuration parameter "{name}"')
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self._values, key=str.lower):
            yield name, self.show(name)

    def set(self, name: str, value: str | None, local: bool = False) -> None:
        """Change a setting; None: to what it was at the start. local: until the transaction ends."""
        known = _NAMES.get(name.lower())
        if known is None and "." not in name:
            raise QueryError("42704", f'unrecognized configuration parameter "{name}"')
        name = known or name.lower()
        if value is None:
            value = self._start.get(name, "")
        else:
            value = _checked(name, value)
            if name == "database" and value != self._start.get(name, value):
                there = f"the one database is {self._start[name]}"
                raise QueryError("3D000", f'database "{value}" does not exist', hint=there)
        if local:
            self._transaction[name] = value
        else:
            self._values[name] = value
        self._note(name)
        if name == "default_transaction_isolation":
            self.set("transaction_isolation", value, local)

    def reset(self) -> None:
        """Every setting to what it was at the start."""
        names = [name for name in self._values if self._values[name] != self._start.get(name)]
        self._values = dict(self._start)
        self._transaction.clear()
        for name in names:
            self._note(name)

    def end_transaction(self) -> None:
        """Forget what was set for the transaction only."""
        names = list(self._transaction)
        self._transaction.clear()
        for name in names:
            self._note(name)

    @property
    def tells_notices(self) -> bool:
        """Whether the client wants to be told what is no warning."""
        return self.show("client_min_messages").lower() not in ("warning", "error")

    @property
    def timeout(self) -> float | None:
        """Seconds that a statement may take; None for any time."""
        return milliseconds(self.show("statement_timeout")) / 1000 or None

    def _note(self, name: str) -> None:
        if name in REPORTED and hasattr(self, "changed"):
            self.changed.append(name)
        if name in _RECENCY and hasattr(self, "fresh"):
            self.fresh = self._fresh()

    def _fresh(self) -> Freshness | None:
        level = self.show("transaction_isolation")
        if level.startswith(_BOUNDED):
            return Freshness(seconds(level.removeprefix(_BOUNDED)))
        if self.show("real_time_recency") == "off":
            return None
        return Freshness(timeout=milliseconds(self.show("real_time_recency_timeout")) / 1000 or None)


def _checked(name: str, value: str) -> str:
    """The value as it is kept. QueryError when the setting cannot have it."""
    lower = value.strip().lower()
    if name in _FIXED:
        raise QueryError("55P02", f'parameter "{name}" cannot be changed')
    if name.endswith("transaction_isolation"):
        if lower.startswith(_BOUNDED):
            return f"{_BOUNDED} {_staleness(lower.removeprefix(_BOUNDED))}"
        if lower not in _ISOLATION:
            raise QueryError(
                "22023",
                f'invalid value for parameter "{name}": "{value}"',
                hint=f"the levels are {', '.join(_ISOLATION)} and bounded staleness with a duration",
            )
        return lower
    if name == "client_encoding" and lower.replace("-", "").replace("_", "") not in ("utf8", "unicode", "default"):
        raise QueryError("22023", f'invalid value for parameter "client_encoding": "{value}"', hint="text is UTF8 here")
    if name == "TimeZone":
        if lower not in _UTC:
            raise QueryError(
                "22023", f'invalid value for parameter "TimeZone": "{value}"', hint="times are shown in UTC"
            )
        return "UTC"
    if name == "cluster":
        return known_cluster(value)
    if name == "search_path":
        others = {part.strip().strip('"') for part in value.split(",")} - _PATH
        if others:
            raise QueryError(
                "22023",
                f'invalid value for parameter "search_path": "{value}"',
                hint=f"names without a schema are looked for in public: write {min(others)}.name",
            )
    if name == "DateStyle":
        if not lower.startswith("iso") and lower not in ("mdy", "dmy", "ymd", "default"):
            raise QueryError(
                "22023", f'invalid value for parameter "DateStyle": "{value}"', hint="dates are shown as ISO"
            )
        return DEFAULTS[name]
    if name == "standard_conforming_strings" and lower not in ("on", "true", "1", "yes"):
        raise QueryError("22023", f'invalid value for parameter "{name}": "{value}"', hint="it is always on")
    if name == "bytea_output" and lower != "hex":
        raise QueryError("22023", f'invalid value for parameter "{name}": "{value}"', hint="bytea is shown as hex")
    if name.endswith("_timeout"):
        milliseconds(value)
    if name == "real_time_recency":
        if lower not in (*_ON, *_OFF):
            raise QueryError("22023", f'parameter "{name}" requires a Boolean value')
        return "on" if lower in _ON else "off"
    return DEFAULTS[name] if name == "client_encoding" else value


def _staleness(text: str) -> str:
    """The bound as it is kept. QueryError when it is no duration."""
    try:
        seconds(text)
    except BadValue as error:
        raise QueryError("22023", str(error), hint="write it as 'bounded staleness 5s'") from None
    return text.strip()


def milliseconds(value: str) -> float:
    """A duration's text: milliseconds, or a number with a unit. QueryError when it is none."""
    found = _DURATION.fullmatch(value)
    if found is None:
        raise QueryError(
            "22023",
            f'invalid value for a timeout: "{value}"',
            hint="write milliseconds, or a number with ms, s, min or h",
        )
    return int(found[1]) * _MILLISECONDS[found[2]]
