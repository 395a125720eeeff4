"""CLUSTER, CLUSTER REPLICA and DATABASE in statements: there is one cluster and one database, and nothing changes either.

    CREATE CLUSTER other (SIZE '100cc')         refused: leave IN CLUSTER out
    CREATE DATABASE IF NOT EXISTS shop          a notice, where the service is called so
    ALTER CLUSTER quickstart SET (SIZE '50cc')  a notice: it has what the machine has

Always true: a name of another cluster or database is an error wherever it is written. What comments say, and what DROP ... IF
EXISTS skips, is the catalog's (`headwater.ddl`). Deliberately unknown: sessions.
"""

from __future__ import annotations

from serve.pg.commands import Nothing
from serve.pg.create_table import unsupported
from serve.pg.words import Words
from serve.sql.errors import QueryError
from serve.sql.schemas import CLUSTER

_SIZED = "the cluster has the processors and the memory that the service was given: no option of it changes anything"


def known_cluster(name: str) -> str:
    """The name of the one cluster. QueryError for any other."""
    if name != CLUSTER:
        raise QueryError("42704", f"unknown cluster '{name}'", hint=f"the one cluster is {CLUSTER}")
    return name


def pass_cluster(words: Words) -> None:
    """IN CLUSTER name, where it comes next."""
    if words.take("IN", "CLUSTER"):
        known_cluster(words.name())


def create_cluster(words: Words) -> Nothing:
    """What follows CREATE CLUSTER. QueryError always: the one that there is, is there already."""
    if words.word == "REPLICA":
        raise unsupported("CREATE CLUSTER REPLICA", f"{CLUSTER} has one, r1, which is this process")
    if words.name() == CLUSTER:
        raise QueryError("42710", f"cluster '{CLUSTER}' already exists")
    raise unsupported("CREATE CLUSTER", f"there is one cluster, {CLUSTER}: leave IN CLUSTER out, or name it")


def create_database(words: Words) -> Nothing:
    """What follows CREATE DATABASE."""
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    words.end()
    if name != words.database:
        raise unsupported("CREATE DATABASE", f"there is one database, {words.database}: write CREATE SCHEMA {name}")
    if not if_not_exists:
        raise QueryError("42P04", f'database "{name}" already exists')
    return Nothing("CREATE DATABASE", f'database "{name}" already exists, skipping')


def alter_cluster(words: Words, name: str) -> Nothing:
    """What follows ALTER CLUSTER name, where that is SET or RESET."""
    known_cluster(name)
    words.at += 1
    words.need("(")
    words.listed()
    if words.take("WITH"):
        words.need("(")
        words.listed()
    words.end()
    return Nothing("ALTER CLUSTER", _SIZED)
