"""CREATE ROLE and GRANT: what of them is true here, and what is refused.

Who may log in stands in the service's file, and whoever may does everything. So a role is a name, and granting what everybody
has is no mistake; taking something away, or giving a role more than others, would not be kept and is refused.
Always true: nothing is accepted that somebody could rely on in vain without a notice. Deliberately unknown: which roles there are.
"""

from __future__ import annotations

from serve.pg.words import Words
from serve.sql.changes import CreateRole, Grant
from serve.sql.errors import QueryError

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "USAGE", "CREATE", "CONNECT", "TRUNCATE", "REFERENCES", "ALL")
_KINDS = {
    "MATERIALIZED VIEW": "materialized view",
    "VIEW": "view",
    "TABLE": "",
    "SOURCE": "source",
    "CONNECTION": "connection",
    "SECRET": "secret",
}
_SERVICE = ("SCHEMA", "DATABASE", "CLUSTER", "SYSTEM")


def create_role(words: Words) -> CreateRole:
    """What follows CREATE ROLE."""
    name = words.name()
    words.take("WITH")
    while words.take("INHERIT") or words.take("NOLOGIN") or words.take("NOSUPERUSER"):
        pass
    if words.word:
        raise QueryError(
            "0A000", f"{words.word} of a role is not supported",
            hint="who may log in, and with which password, is declared in the service's file, under serve: users",
        )  # fmt: skip
    return CreateRole(name)


def read_grant(words: Words) -> Grant:
    """What follows GRANT."""
    first = True
    while first or words.take(","):
        if words.word not in _PRIVILEGES:
            raise QueryError("0A000", "membership in roles is not supported", hint="every user may do everything")
        words.at += 1
        words.take("PRIVILEGES")
        first = False
    words.need("ON")
    if words.take("ALL"):
        kind, names = "all", list[str]()
        while words.word and words.word != "TO":
            words.at += 1
    elif words.word in _SERVICE:
        kind, names = "service", []
        words.at += 1
        while words.word and words.word != "TO":
            words.at += 1
    else:
        kind = next((to for name, to in _KINDS.items() if words.take(*name.split())), "")
        names = _names(words)
    words.need("TO")
    roles = _names(words)
    if words.take("WITH"):
        raise QueryError("0A000", "WITH GRANT OPTION is not supported")
    words.end()
    return Grant(kind, tuple(names), tuple(roles))


def read_revoke(_words: Words) -> Grant:
    """What follows REVOKE."""
    raise QueryError(
        "0A000", "REVOKE is not supported: it would not be enforced",
        detail="Every user who may log in may read and change everything.",
        hint="take users out of the service's file, under serve: users, or run a service of its own for them",
    )  # fmt: skip


def _names(words: Words) -> list[str]:
    found = []
    while True:
        words.take("ROLE") or words.take("GROUP")
        found.append(words.name().rpartition(".")[2])
        if not words.take(","):
            return found
