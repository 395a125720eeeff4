"""Random expressions over given columns: typed, always valid in PostgreSQL, with subqueries where there may be some."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.planner.written import either, half, known, shorter

Columns = list[tuple[str, str]]
"""Name and kind of each column that a clause can see: int, numeric, float, text, bool, date, time."""

LITERALS = {
    "int": ["0", "1", "2", "3", "-1", "NULL::int"],
    "numeric": ["0.5", "2", "1.25", "-3.10", "NULL::numeric"],
    "float": ["'0.5'::float8", "2::float8", "'NaN'::float8"],
    "text": ["'red'", "'r'", "''", "NULL::text", "'Blue'"],
    "bool": ["TRUE", "FALSE", "NULL::boolean"],
    "date": ["DATE '2026-01-02'", "NULL::date"],
    "time": ["TIMESTAMPTZ '2026-01-02 10:00:00+00'", "NULL::timestamptz"],
}
KINDS = tuple(LITERALS)


@dataclass
class Expressions:
    """A stream of random expressions."""

    rng: random.Random
    tables: Mapping[str, Columns]
    names: int = 0
    subqueries: int = 0
    """How many levels of subqueries an expression may have here: not everywhere may it have any."""

    def name(self, prefix: str) -> str:
        """A name that no other part of the query has."""
        self.names += 1
        return f"{prefix}{self.names}"

    def expression(self, kind: str, columns: Columns, depth: int = 2) -> str:
        """An expression of a kind."""
        own = [name for name, k in columns if k == kind]
        if depth == 0 or self.rng.random() < 0.3:
            return self.rng.choice(own) if own and self.rng.random() < 0.8 else self.rng.choice(LITERALS[kind])

        def sub(k: str) -> str:
            return self.expression(k, columns, depth - 1)

        general = [
            lambda: f"CASE WHEN {sub('bool')} THEN {sub(kind)} ELSE {sub(kind)} END",
            lambda: f"CASE WHEN {sub('bool')} THEN {sub(kind)} END",
            lambda: f"coalesce({sub(kind)}, {sub(kind)})",
            lambda: f"nullif({sub(kind)}, {sub(kind)})",
        ]
        if self.subqueries and self.rng.random() < 0.25:
            return self._subquery(kind, columns)
        if kind != "bool":
            general += [lambda: f"greatest({sub(kind)}, {sub(kind)})", lambda: f"least({sub(kind)}, {sub(kind)})"]
        return self.rng.choice(general + 3 * self._special(kind, sub, columns))()

    def _special(self, kind: str, sub: Callable[[str], str], columns: Columns) -> list[Callable[[], str]]:
        any_kind = self.rng.choice(KINDS)
        documents = [name for name, k in columns if k == "json"]
        compared = self.rng.choice(("=", "<>", "<", "<=", ">", ">="))
        return {
            "int": [
                lambda: f"({sub('int')} {self.rng.choice('+-*')} {sub('int')})",
                lambda: f"({sub('int')} / nullif({sub('int')}, 0))",
                lambda: f"({sub('int')} % nullif({sub('int')}, 0))",
                lambda: f"abs({sub('int')})",
                lambda: f"length({sub('text')})",
                lambda: f"({sub('bool')})::int",
                lambda: f"(- {sub('int')})",
                lambda: f"({sub('date')} - {sub('date')})",
                lambda: self._of_array(sub),
                lambda: self._of_list(sub),
                lambda: half(sub("int")),
            ],
            "numeric": [
                lambda: f"({sub('numeric')} {self.rng.choice('+-*')} {sub('numeric')})",
                lambda: f"({sub('numeric')} + {sub('int')})",
                lambda: f"round({sub('numeric')}, 1)",
                lambda: f"({sub('int')})::numeric",
                lambda: f"abs({sub('numeric')})",
            ],
            "float": [
                lambda: f"({sub('float')} {self.rng.choice('+-*')} {sub('float')})",
                lambda: f"({sub('float')} + {sub('int')})",
                lambda: f"({sub('numeric')})::float8",
            ],
            "text": [
                lambda: f"upper({sub('text')})",
                lambda: f"({sub('text')} || {sub('text')})",
                lambda: f"quote_ident({sub('text')})",
                lambda: f"quote_nullable({sub('text')})",
                *(lambda name=name: self._changed(name) for name in documents),
                lambda: f"left({sub('text')}, {self.rng.randrange(3)})",
                lambda: f"({sub('int')})::text",
                lambda: f"({sub('bool')})::text",
                lambda: f"replace({sub('text')}, 'e', 'xx')",
                lambda: f"({self.array(sub)})::text",
                lambda: f"({self.list(sub)})::text",
                lambda: either("(MAP['a' => {0}, 'b' => {1}] -> 'a')", "({0})").format(sub("text"), "'x'"),
                lambda: (
                    f"array_to_string({self.texts(sub)}, {self.rng.choice([chr(39) + ';' + chr(39), sub('text')])}, '*')"
                ),
                lambda: f"({self.texts(sub)})[{self.rng.randrange(4)}]",
                *(lambda name=name: f"({name} ->> '{self.rng.choice('ab')}')" for name in documents),
            ],
            "bool": [
                lambda: f"({sub(any_kind)} {compared} {sub(any_kind)})",
                *(lambda name=name: f"({name} {self.rng.choice(['?|', '?&'])} ARRAY['a', 'b'])" for name in documents),
                lambda: f"({sub('bool')} AND {sub('bool')})",
                lambda: f"({sub('bool')} OR {sub('bool')})",
                lambda: f"(NOT {sub('bool')})",
                lambda: shorter(sub("text"), sub("text")),
                lambda: known(sub("int")),
                lambda: either("(MAP['a' => 1, 'b' => 2] ? {0})", "({0} IN ('a', 'b'))").format(sub("text")),
                lambda: f"({sub(any_kind)} IS {self.rng.choice(['', 'NOT '])}NULL)",
                lambda: f"({sub(any_kind)} IS {self.rng.choice(['', 'NOT '])}DISTINCT FROM {sub(any_kind)})",
                lambda: f"({sub('bool')} IS {self.rng.choice(['TRUE', 'NOT TRUE', 'FALSE', 'NOT FALSE', 'UNKNOWN'])})",
                lambda: f"({sub('int')} IN ({sub('int')}, {sub('int')}))",
                lambda: f"({sub('int')} NOT IN ({sub('int')}, 2))",
                lambda: f"({sub('numeric')} BETWEEN {sub('int')} AND {sub('numeric')})",
                lambda: f"(({sub('int')}, {sub('text')}) {compared} ({sub('int')}, {sub('text')}))",
                lambda: f"({sub('int')} {compared} {self.rng.choice(['ANY', 'ALL'])} (ARRAY[{sub('int')}, 2]))",
                lambda: f"({self.array(sub)} {self.rng.choice((compared, '@>', '<@', '&&'))} {self.array(sub)})",
                lambda: f"({sub('int')} {compared} {self.rng.choice(['ANY', 'ALL'])} ({self.operand(sub)}))",
                lambda: f"({sub('text')} {self.rng.choice(['=', 'LIKE', '<'])} ANY ({self.texts(sub)}))",
                lambda: f"({sub('text')} LIKE '{self.rng.choice(['r%', '%e%', '_ed', ''])}')",
            ],
            "date": [lambda: f"({sub('date')} + {sub('int')}::int)", lambda: f"({sub('time')})::date"],
            "time": [lambda: f"date_trunc('hour', {sub('time')})", lambda: f"({sub('date')})::timestamptz"],
        }[kind]

    def _changed(self, document: str) -> str:
        """The text of a document that is changed at a path."""
        made = self.rng.choice(
            (
                f"jsonb_set({document}, '{{a}}', '[1, null]', {self.rng.choice(('true', 'false'))})",
                f"jsonb_set({document}, '{{b,c}}', '2')",
                f"({document} #- '{{a}}')",
            )
        )
        return f"CASE WHEN jsonb_typeof({document}) = 'object' THEN ({made})::text END"

    def array(self, sub: Callable[[str], str], depth: int = 1) -> str:
        """A bigint[]."""
        one = lambda: f"({sub('int')})::bigint"  # noqa: E731
        made = [
            lambda: f"ARRAY[{one()}, {one()}]",
            lambda: f"ARRAY[{one()}]",
            lambda: self.rng.choice(
                ["'{}'::bigint[]", "'{3,NULL,1}'::bigint[]", "NULL::bigint[]", "'[0:1]={1,2}'::bigint[]"]
            ),
        ]
        if depth:
            inner = lambda: self.array(sub, depth - 1)  # noqa: E731
            low = self.rng.randrange(-1, 3)
            made += [
                lambda: f"({inner()} || {inner()})",
                lambda: f"array_append({inner()}, {one()})",
                lambda: f"array_prepend({one()}, {inner()})",
                lambda: f"array_remove({inner()}, {one()})",
                lambda: f"array_replace({inner()}, {one()}, {one()})",
                lambda: f"({inner()})[{low}:{low + self.rng.randrange(-1, 3)}]",
                lambda: f"CASE WHEN {sub('bool')} THEN {inner()} ELSE {inner()} END",
                lambda: f"greatest({inner()}, {inner()})",
            ]
        return self.rng.choice(made)()

    def list(self, sub: Callable[[str], str]) -> str:
        """A bigint list, in PostgreSQL an array that is never cut."""
        one, other = (f"({sub('int')})::bigint" for _ in range(2))
        made = f"{either('LIST', 'ARRAY')}[{one}, {other}]"
        return self.rng.choice(
            (
                made,
                f"({made} || {either('LIST', 'ARRAY')}[{other}])",
                f"{either('list_append', 'array_append')}({made}, {one})",
                f"{either('list_prepend', 'array_prepend')}({one}, {made})",
                f"({made})[1:{self.rng.randrange(1, 3)}]",
            )
        )

    def _of_list(self, sub: Callable[[str], str]) -> str:
        """An integer of a list."""
        made = self.list(sub)
        return self.rng.choice(
            (f"({made})[{self.rng.randrange(4)}]::int", f"{either('list_length', 'cardinality')}({made})::int")
        )

    def operand(self, sub: Callable[[str], str]) -> str:
        """A bigint[] for ANY: on the side of an outer join that is not there PostgreSQL 15 computes `x > ANY ('{}')` of x NULL, and
        has false where there is NULL."""
        return self.array(sub).replace("'{}'::bigint[]", "'{4}'::bigint[]")

    def texts(self, sub: Callable[[str], str]) -> str:
        """A text[]."""
        made = [
            lambda: f"ARRAY[{sub('text')}, {sub('text')}]",
            lambda: f"string_to_array({sub('text')}, 'e')",
            lambda: f"string_to_array({sub('text')}, NULL, 'r')",
        ]
        return self.rng.choice(made)()

    def _of_array(self, sub: Callable[[str], str]) -> str:
        """A number that an array has."""
        made = [
            lambda: f"cardinality({self.array(sub)})",
            lambda: f"array_length({self.array(sub)}, 1)",
            lambda: f"array_lower({self.array(sub)}, 1)",
            lambda: f"array_upper({self.texts(sub)}, 1)",
            lambda: f"array_position({self.array(sub)}, ({sub('int')})::bigint)",
            lambda: f"({self.array(sub)})[{self.rng.randrange(-1, 4)}]",
            lambda: f"({self.array(sub)})[({sub('int')})::int]",
        ]
        return self.rng.choice(made)()

    def _subquery(self, kind: str, columns: Columns) -> str:
        """A subquery as a value; it may refer to the columns around it."""
        levels, self.subqueries = self.subqueries, self.subqueries - 1
        alias = self.name("s")
        table = self.rng.choice(list(self.tables))
        own = [(f"{alias}.{name}", k) for name, k in self.tables[table]]
        source = f"{table} AS {alias}"
        pairs = [(a, b) for a, k in columns for b, other in own if k == other != "json"]
        conditions = [" = ".join(self.rng.choice(pairs))] if pairs and self.rng.random() < 0.6 else []
        if self.rng.random() < 0.4:
            conditions.append(self.expression("bool", own + columns, 1))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        self.subqueries = 0
        if kind == "bool" and self.rng.random() < 0.4:
            text = self._compared(own, columns, source, where)
        elif kind != "bool":
            same = [f"{self.rng.choice(('max', 'min'))}({name})" for name, k in own if k == kind]
            same.append(f"CASE WHEN count(*) > 1 THEN {self.rng.choice(LITERALS[kind])} END")
            text = f"(SELECT {self.rng.choice(same)} FROM {source}{where})"
        elif self.rng.random() < 0.5:
            text = f"({self.rng.choice(['', 'NOT '])}EXISTS (SELECT 1 FROM {source}{where}))"
        else:
            column, of = self.rng.choice([(c, k) for c, k in own if k != "json"])
            value = self.expression(of, columns, 1)
            text = f"({value} {self.rng.choice(['', 'NOT '])}IN (SELECT {column} FROM {source}{where}))"
        self.subqueries = levels
        return text

    def _compared(self, own: Columns, columns: Columns, source: str, where: str) -> str:
        """ANY, ALL, and row values with a subquery."""
        rows = self.rng.random() < 0.4
        chosen = self.rng.choices([(c, k) for c, k in own if k != "json"], k=2 if rows else 1)
        values = ", ".join(self.expression(kind, columns, 1) for _, kind in chosen)
        names = ", ".join(name for name, _ in chosen)
        compared = self.rng.choice(("=", "=", "<>", "<", "<=", ">", ">="))
        quantifier = self.rng.choice(("ANY", "ALL", "SOME"))
        value = f"({values})" if rows else values
        return f"({value} {compared} {quantifier} (SELECT {names} FROM {source}{where}))"
