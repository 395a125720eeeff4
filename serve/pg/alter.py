"""ALTER: text to the change of the catalog that it asks for.

Always true: what cannot be altered is refused by name. Deliberately unknown: whether a change is possible.
"""

from __future__ import annotations

from serve.pg.clusters import alter_cluster
from serve.pg.commands import Nothing
from serve.pg.create_table import read_default, table_constraint, unsupported
from serve.pg.history import alter_history
from serve.pg.names import named
from serve.pg.outside import alter_connection, create_secret
from serve.pg.words import Words
from serve.sql.changes import (
    Action,
    AlterTable,
    Change,
    DropConstraint,
    Owner,
    Rename,
    RenameColumn,
    SetDefault,
    SetNullable,
)


def read_alter(words: Words, kind: str) -> Change | Nothing:
    """What follows ALTER and a kind."""
    if_exists = words.take("IF", "EXISTS")
    if kind == "table":
        words.take("ONLY")
    name = named(kind, words)
    if kind == "secret" and words.word == "AS":
        return create_secret(words, name, False, again=True)
    if kind == "connection" and words.word in ("SET", "DROP", "RESET"):
        return alter_connection(words, name)
    if kind == "materialized view" and words.word in ("SET", "RESET"):
        return alter_history(words, name, if_exists)
    if kind == "cluster" and words.word in ("SET", "RESET"):
        return alter_cluster(words, name)
    if words.take("OWNER", "TO"):
        role = words.name()
        words.end()
        return Owner("relation" if kind == "table" else kind, name, role, f"ALTER {kind.upper()}")
    if words.take("RENAME", "TO"):
        to = named(kind, words)
        words.end()
        return Rename(kind, name, to, if_exists)
    if words.take("SWAP", "WITH"):
        to = named(kind, words)
        words.end()
        return Rename(kind, name, to, if_exists, swap=True)
    if kind != "table":
        raise unsupported(f"ALTER {kind.upper()} {words.word}")
    actions: list[Action] = [_action(words)]
    while words.take(","):
        actions.append(_action(words))
    words.end()
    return AlterTable(name, tuple(actions), if_exists)


def _action(words: Words) -> Action:
    """One action of ALTER TABLE."""
    if words.take("RENAME"):
        words.take("COLUMN")
        name = words.name()
        words.need("TO")
        return RenameColumn(name, words.name())
    if words.take("ADD"):
        return _add(words)
    if words.take("DROP"):
        if words.take("CONSTRAINT"):
            if_exists = words.take("IF", "EXISTS")
            found = DropConstraint(words.name(), if_exists)
            words.take("RESTRICT") or words.take("CASCADE")
            return found
        raise unsupported("DROP COLUMN", "make a view without it")
    if words.take("ALTER"):
        words.take("COLUMN")
        return _alter_column(words)
    raise unsupported(f"ALTER TABLE {words.word}")


def _add(words: Words) -> Action:
    """What follows ADD, up to the next action."""
    begin, depth = words.at, 0
    while words.word and (depth or words.word != ","):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(words.word, 0)
        words.at += 1
    end = words.found[words.at].start(1) if words.word else len(words.sql)
    if begin == words.at:
        raise words.wrong()
    inner = Words(words.sql[words.found[begin].start(1) : end].rstrip())
    if inner.word not in ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"):
        raise unsupported("ADD COLUMN", "make another table, and INSERT ... SELECT")
    return table_constraint(inner)


def _alter_column(words: Words) -> Action:
    name = words.name()
    if words.take("SET", "DEFAULT"):
        return SetDefault(name, read_default(words))
    if words.take("DROP", "DEFAULT"):
        return SetDefault(name, "")
    if words.take("SET", "NOT", "NULL"):
        return SetNullable(name, False)
    if words.take("DROP", "NOT", "NULL"):
        return SetNullable(name, True)
    raise unsupported(f"ALTER COLUMN {words.word}", "make another table, and INSERT ... SELECT")
