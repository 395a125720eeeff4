"""Random items of FROM that are more than tables: recursion, WITH, spans of time, the latest at or before."""

from __future__ import annotations

from tests.planner.expressions import Columns, Expressions
from tests.planner.written import either

DAY = "INTERVAL '1 day'"


class Sources(Expressions):
    """A stream of random items: each a subquery without an alias, and its columns."""

    def item(self) -> tuple[str, Columns]:
        """Any of them."""
        timed = [table for table, columns in self.tables.items() if any(kind == "time" for _, kind in columns)]
        makers = [self._recursive, self._closure, self._shared, self._latest]
        if timed:
            makers += 2 * [self._spans]
        return self.rng.choice(makers)()

    def _table(self, only: str | None = None) -> tuple[str, str, Columns]:
        """A table's name, an alias for it, and its columns; only: a kind that it has."""
        names = [name for name, columns in self.tables.items() if only is None or any(k == only for _, k in columns)]
        table, alias = self.rng.choice(names), self.name("a")
        return table, alias, [(f"{alias}.{column}", kind) for column, kind in self.tables[table]]

    def _recursive(self) -> tuple[str, Columns]:
        """Counting up from values of a table."""
        table, alias, columns = self._table()
        number, text = self.expression("int", columns, 1), self.expression("text", columns, 1)
        name, most = self.name("w"), self.rng.randrange(1, 4)
        head = either(f"MUTUALLY RECURSIVE {name} (n bigint, g text)", f"RECURSIVE {name} (n, g)")
        if self.rng.random() < 0.5:
            head = f"RECURSIVE {name} (n, g)"
        again = f"SELECT {name}.n + 1, {name}.g FROM {name} WHERE {name}.n < {most}"
        base = f"SELECT (({number}) % 3)::bigint, ({text})::text FROM {table} AS {alias}"
        made = f"WITH {head} AS ({base} UNION {again}) SELECT n, g FROM {name}"
        if self.rng.random() < 0.3:
            made = f"WITH {head} AS ({base} UNION {again}) SELECT n, max(g) AS g FROM {name} GROUP BY n"
        return made, [("n", "int"), ("g", "text")]

    def _closure(self) -> tuple[str, Columns]:
        """What can be reached by the rows of a table from those of another."""
        table, alias, columns = self._table()
        other, edge, edges = self._table()
        to = self.rng.choice([column for column, kind in edges if kind == "int"])
        begin, end = f"({edge}.{self.tables[other][0][0]} % 5)::bigint", f"({to} % 5)::bigint"
        name = self.name("w")
        number = self.expression("int", columns, 1)
        kept = f" AND {self.expression('bool', edges, 1)}" if self.rng.random() < 0.3 else ""
        made = (
            f"WITH RECURSIVE {name} (n) AS (SELECT (({number}) % 5)::bigint FROM {table} AS {alias} UNION "
            f"SELECT {end} FROM {name} JOIN {other} AS {edge} ON {begin} = {name}.n{kept}) SELECT n FROM {name}"
        )
        return made, [("n", "int")]

    def _shared(self) -> tuple[str, Columns]:
        """A query that is named once and read twice."""
        table, alias, columns = self._table()
        name, left, right = self.name("w"), self.name("x"), self.name("y")
        how = self.rng.choice(("", " MATERIALIZED", " NOT MATERIALIZED"))
        inner = (
            f"SELECT {self.expression('int', columns, 1)} AS i, {self.expression('text', columns, 1)} AS t "
            f"FROM {table} AS {alias}"
        )
        join = self.rng.choice(("JOIN", "LEFT JOIN", "FULL JOIN"))
        made = (
            f"WITH {name} (i, t) AS{how} ({inner}) SELECT {left}.i, {right}.t, {right}.i AS j FROM {name} AS {left} "
            f"{join} {name} AS {right} ON {left}.i = {right}.i"
        )
        return made, [("i", "int"), ("t", "text"), ("j", "int")]

    def _latest(self) -> tuple[str, Columns]:
        """ASOF JOIN: beside each row the nearest one of another table, which has one row of each key and moment."""
        kind = self.rng.choice(("int", "int", "date", "time", "numeric"))
        if not any(k == kind for columns in self.tables.values() for _, k in columns):
            kind = "int"
        table, alias, columns = self._table(kind)
        other, inner, others = self._table(kind)
        at = self.rng.choice([column for column, k in columns if k == kind])
        then = self.rng.choice([column for column, k in others if k == kind])
        sign = self.rng.choice((">=", ">", "<=", "<"))
        key, value = self.expression("int", others, 1), self.expression("int", others, 1)
        right, outer = self.name("b"), self.rng.random() < 0.5
        marks = (
            f"(SELECT ({key}) % 3 AS k, {then} AS m, min({value})::bigint AS v FROM {other} AS {inner} GROUP BY 1, 2)"
        )
        left = f"(SELECT *, {self.tables[table][0][0]} % 3 AS key FROM {table}) AS {alias}"
        side = "LEFT " if outer else ""
        lateral = (
            f"{'LEFT' if outer else 'CROSS'} JOIN LATERAL (SELECT * FROM {marks} AS z WHERE {alias}.key = z.k "
            f"AND {at} {sign} z.m ORDER BY z.m {'DESC' if sign in ('>=', '>') else 'ASC'} LIMIT 1) AS {right}"
            f"{' ON TRUE' if outer else ''}"
        )
        asof = f"ASOF {side}JOIN {marks} AS {right} ON {alias}.key = {right}.k AND {at} {sign} {right}.m"
        shown = [(f"{at} AS at", "at", kind), (f"{right}.m", "m", kind), (f"{right}.v", "v", "int")]
        made = f"SELECT {', '.join(text for text, _, _ in shown)} FROM {left} {either(asof, lateral)}"
        return made, [(name, k) for _, name, k in shown]

    def _spans(self) -> tuple[str, Columns]:
        """Rows beside the spans of time that they are in."""
        table, alias, columns = self._table("time")
        at = self.rng.choice([column.partition(".")[2] for column, kind in columns if kind == "time"])
        first = self.tables[table][0][0]
        begin = f"date_bin({DAY}, {at}, TIMESTAMPTZ '1970-01-01 00:00:00+00')"
        there = f"FROM {table} WHERE {at} IS NOT NULL"
        kind = self.rng.choice(("tumble", "hop", "session", "bin"))
        if kind == "tumble":
            span = either(
                f"tumble({table}, {at}, {DAY})",
                f"(SELECT *, {begin} AS window_start, {begin} + {DAY} AS window_end {there})",
            )
        elif kind == "hop":
            span = either(
                f"hop({table}, {at}, {DAY}, INTERVAL '3 days')",
                f"(SELECT *, {begin} - n * {DAY} AS window_start, {begin} + (3 - n) * {DAY} AS window_end "
                f"FROM {table}, generate_series(0, 2) AS n WHERE {at} IS NOT NULL)",
            )
        elif kind == "bin":
            calls = either(
                f"date_bin_hopping({DAY}, INTERVAL '3 days', {at})",
                f"generate_series({begin} - INTERVAL '2 days', {begin}, {DAY})",
            )
            made = f"SELECT {alias}.{first} AS i, w AS b, w AS e FROM {table} AS {alias}, LATERAL {calls} AS w"
            return made, [("i", "int"), ("b", "time"), ("e", "time")]
        else:
            span = self._session(table, at, first)
        made = f"SELECT {alias}.{first} AS i, {alias}.window_start AS b, {alias}.window_end AS e FROM {span} AS {alias}"
        return made, [("i", "int"), ("b", "time"), ("e", "time")]

    def _session(self, table: str, at: str, key: str) -> str:
        by, and_key = (f"PARTITION BY {key} ", f", {key}") if self.rng.random() < 0.6 else ("", "")
        gap = "INTERVAL '36 hours'"
        breaks = (
            f"SELECT *, CASE WHEN {at} - lag({at}) OVER ({by}ORDER BY {at}) <= {gap} THEN 0 ELSE 1 END AS pause "
            f"FROM {table} WHERE {at} IS NOT NULL"
        )
        islands = f"SELECT *, sum(pause) OVER ({by}ORDER BY {at}) AS island FROM ({breaks}) AS p"
        within = f"OVER (PARTITION BY {'island' if not by else f'{key}, island'})"
        theirs = (
            f"(SELECT *, min({at}) {within} AS window_start, max({at}) {within} + {gap} AS window_end "
            f"FROM ({islands}) AS q)"
        )
        return either(f"session({table}, {at}, {gap}{and_key})", theirs)
