"""Random queries over given tables: typed, always valid in PostgreSQL, and of every shape that views may have."""

from __future__ import annotations

import re

from tests.planner.expressions import KINDS, Columns
from tests.planner.sources import Sources

_LISTED = re.compile(r" (AND|OR) ")
_COLUMN = re.compile(r"\b[a-z]\w*\.[a-z]")


TYPES = {"int": "int", "float": "float8", "numeric": "numeric", "text": "text"}

WHOLE = 2
"""How many levels of queries a whole query has."""


class Queries(Sources):
    """A stream of random queries."""

    @staticmethod
    def every_row_counts(query: str) -> bool:
        """Whether PostgreSQL computes every expression of this query for every row, so that errors are comparable."""
        return " AS failing" in query

    def _failing(self) -> tuple[str, Columns]:
        """A query over one table, some of whose rows fail: what is computed for which row leaves no doubt."""
        table = self.rng.choice(list(self.tables))
        columns = self.tables[table]

        def some(kind: str) -> str:
            # PostgreSQL computes what is constant, and fails, where there are no rows too.
            text = self.expression(kind, columns, 1)
            settled = any(f"WHEN {known}" in text for known in ("TRUE", "FALSE", "NULL"))
            there = any(name in text for name, _ in columns) and not settled
            return text if there else f"{columns[0][0]}::{TYPES[kind]}"

        number, real = some("int"), some("float")
        fails = self.rng.choice(
            (
                f"({number} / {some('int')})",
                f"({number} % {some('int')})",
                f"({some('text')})::int",
                f"({number} * 9000)::smallint",
                f"({number}::int * 900000000)",
                f"({some('numeric')} * 1000)::numeric(6,2)",
                f"({some('numeric')} / {some('numeric')})",
                f"ln({real})",
                f"sqrt({real})",
            )
        )
        if self.rng.random() < 0.3:
            fails = f"CASE WHEN {self.expression('bool', columns, 1)} THEN {fails} END"
        if self.rng.random() < 0.2:
            fails = f"sum({fails})"
        where = f" WHERE {self.expression('bool', columns, 1)}" if self.rng.random() < 0.4 else ""
        return f"SELECT {fails} AS failing FROM {table}{where}", [("failing", "int")]

    def query(self, depth: int = WHOLE) -> tuple[str, Columns]:
        """A query and its columns."""
        if depth == WHOLE and self.rng.random() < 0.1:
            return self._failing()
        if depth and self.rng.random() < 0.15:
            return self._set_operation(depth)
        if self.rng.random() < 0.4:
            return self._grouped(depth)
        return self._plain(depth)

    def _cut(self, width: int) -> str:
        """ORDER BY and LIMIT that leave no doubt which rows are meant: by every column."""
        if self.rng.random() < 0.8:
            return ""
        order = self.rng.sample(range(1, width + 1), width)
        terms = [f"{i}{self.rng.choice(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for i in order]
        offset = self.rng.choice(("", "", " OFFSET 1"))
        return f" ORDER BY {', '.join(terms)} LIMIT {self.rng.randrange(5)}{offset}"

    def _from(self, depth: int) -> tuple[str, Columns]:
        """FROM's text and what it shows, qualified."""
        parts: list[str] = []
        seen: Columns = []
        for number in range(self.rng.choice((1, 1, 1, 2, 2, 3))):
            if number and self.rng.random() < 0.25:
                text, new = self._lateral(seen)
                parts.append(text)
                seen = seen + new
                continue
            alias = self.name("t")
            if depth and self.rng.random() < 0.4:
                text, columns = self.item() if self.rng.random() < 0.3 else self.query(depth - 1)
                text = f"({text}) AS {alias}"
            else:
                table = self.rng.choice(list(self.tables))
                text, columns = f"{table} AS {alias}", self.tables[table]
            new = [(f"{alias}.{name}", kind) for name, kind in columns]
            if number == 0:
                parts.append(text)
            elif self.rng.random() < 0.8:
                condition, equal = self._join_condition(seen, new)
                # PostgreSQL has no FULL JOIN without an equality between both sides; DuckDB has.
                kinds = ("", "", "LEFT ", "LEFT ", "RIGHT ", "FULL ") if equal else ("", "LEFT ", "RIGHT ", "FULL ")
                parts.append(f" {self.rng.choice(kinds)}JOIN {text} ON {condition}")
            else:
                parts.append(f" CROSS JOIN {text}")
            seen = seen + new
        return "".join(parts), seen

    def _lateral(self, seen: Columns) -> tuple[str, Columns]:
        """A join with a subquery or a table function that refers to the tables on its left."""
        alias = self.name("l")
        join = self.rng.choice(("CROSS JOIN", "LEFT JOIN"))
        on = "" if join == "CROSS JOIN" else " ON TRUE"
        documents = [name for name, kind in seen if kind == "json"]
        choice = self.rng.random()
        if choice < 0.25:
            low, high = self.expression("int", seen, 1), self.expression("int", seen, 1)
            text = f"generate_series({low} % 4, {high} % 4) WITH ORDINALITY AS {alias} (i, n)"
            return f" {join} {text}{on}", [(f"{alias}.i", "int"), (f"{alias}.n::int", "int")]
        if choice < 0.32:

            def value(kind: str) -> str:
                return self.expression(kind, seen, 1)

            text = f"unnest({self.array(value)}, {self.texts(value)}) WITH ORDINALITY AS {alias} (i, t, n)"
            return f" {join} {text}{on}", [(f"{alias}.i", "int"), (f"{alias}.t", "text"), (f"{alias}.n::int", "int")]
        if choice < 0.42 and documents:
            text = f"jsonb_object_keys({self.rng.choice(documents)}) AS {alias} (k)"
            return f" {join} LATERAL {text}{on}", [(f"{alias}.k", "text")]
        table, inner = self.rng.choice(list(self.tables)), self.name("s")
        own = [(f"{inner}.{name}", k) for name, k in self.tables[table]]
        pairs = [(a, b) for a, k in seen for b, other in own if k == other != "json"]
        conditions = [" = ".join(self.rng.choice(pairs))] if pairs and self.rng.random() < 0.8 else []
        if self.rng.random() < 0.3:
            conditions.append(self.expression("bool", own + seen, 1))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        kinds = self.rng.choices(KINDS, k=2)
        names = [self.name("c"), self.name("c")]
        if choice < 0.6:
            outputs = [self._aggregate(own) for _ in kinds]
            items = ", ".join(f"{text} AS {name}" for (text, _), name in zip(outputs, names, strict=True))
            kinds, cut = [kind for _, kind in outputs], ""
        else:
            items = ", ".join(f"{self.expression(k, own + seen, 1)} AS {n}" for k, n in zip(kinds, names, strict=True))
            cut = f" ORDER BY 1, 2 DESC LIMIT {self.rng.randrange(1, 3)}" if self.rng.random() < 0.6 else ""
        text = f" {join} LATERAL (SELECT {items} FROM {table} AS {inner}{where}{cut}) AS {alias}{on}"
        return text, [(f"{alias}.{name}", kind) for name, kind in zip(names, kinds, strict=True)]

    def _join_condition(self, left: Columns, right: Columns) -> tuple[str, bool]:
        """A condition, and whether a column of each side must be equal in it."""
        pairs = [(a, b) for a, kind in left for b, other in right if kind == other != "json"]
        if not pairs or self.rng.random() < 0.1:
            return self.expression("bool", left + right, 1), False
        chosen = [" = ".join(self.rng.choice(pairs)) for _ in range(self.rng.choice((1, 1, 2)))]
        if self.rng.random() < 0.3:
            self.subqueries = int(self.rng.random() < 0.3)
            chosen.append(self.expression("bool", left + right, 1))
            self.subqueries = 0
        return " AND ".join(chosen), True

    def _where(self, columns: Columns) -> str:
        if self.rng.random() < 0.5:
            return ""
        self.subqueries = 2
        condition = self.expression("bool", columns)
        self.subqueries = 0
        return f" WHERE {condition}"

    def _plain(self, depth: int) -> tuple[str, Columns]:
        source, columns = self._from(depth)
        self.subqueries = 1
        items = [(self.expression(kind, columns), self.name("c"), kind) for kind in self.rng.choices(KINDS, k=3)]
        self.subqueries = 0
        if self.rng.random() < 0.25:
            # Two would tell equal rows apart, each in its own way.
            text, kind = self._window(columns)
            items[0] = text, self.name("w"), kind
        chosen = ", ".join(f"{text} AS {name}" for text, name, _ in items)
        if self.rng.random() < 0.08:
            name = self.name("c")
            chosen += f", generate_series(1, ({self.expression('int', columns, 1)}) % 3) AS {name}"
            items.append(("", name, "int"))
        if self.rng.random() < 0.15:
            text, kind = self._window(columns)
            items.append((text, self.name("w"), kind))
            chosen += f", {text} AS {items[-1][1]}"
        distinct = "DISTINCT " if self.rng.random() < 0.2 else ""
        query = f"SELECT {distinct}{chosen} FROM {source}{self._where(columns)}{self._cut(len(items))}"
        return query, [(name, kind) for _, name, kind in items]

    def _window(self, columns: Columns) -> tuple[str, str]:
        """A window function whose value does not depend on how ties are broken, and its kind."""
        kinds = self.rng.choices(("int", "text", "bool", "date", "numeric"), k=2)
        partition, order = (self.expression(kind, columns, 1) for kind in kinds)
        argument = self.expression("int", columns, 1)
        function, kind = self.rng.choice(
            (
                ("rank()", "int"),
                ("dense_rank()", "int"),
                ("cume_dist()", "float"),
                ("count(*)", "int"),
                (f"sum({argument})", "int"),
                (f"min({argument})", "int"),
                (f"bool_or({self.expression('bool', columns, 1)})", "bool"),
                (f"bit_or(({argument})::bigint)", "int"),
                (f"round(var_pop(({argument})::bigint), 3)", "numeric"),
                (f"max({argument}) FILTER (WHERE {self.expression('bool', columns, 1)})", "int"),
            )
        )
        frame = self.rng.choice(
            (
                *("", "", " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW", " RANGE UNBOUNDED PRECEDING"),
                *(" GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING"),
                " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            )
        )
        by = self.rng.choice((f"PARTITION BY {partition} ", ""))
        over = f"{function} OVER ({by}ORDER BY {order} {self.rng.choice(('', 'DESC'))}{frame})"
        return (f"({over})::int" if kind == "int" else over), kind

    def _grouped(self, depth: int) -> tuple[str, Columns]:
        source, columns = self._from(depth)
        keys = [(self.expression(k, columns, 1), k) for k in self.rng.choices(KINDS, k=self.rng.randrange(3))]
        # PostgreSQL refuses constants here, and makes one list of (a OR b) OR c, in which it finds no key a OR b.
        inner = [(key, kind) for key, kind in keys if _COLUMN.search(key) and not _LISTED.search(key)]
        aggregates = [self._aggregate(columns) for _ in range(2)]
        having = f" HAVING {self.expression('bool', inner + aggregates, 1)}" if self.rng.random() < 0.3 else ""
        outputs: list[tuple[str, str, str]] = [(key, self.name("k"), kind) for key, kind in inner]
        kinds = self.rng.choices(KINDS, k=2)
        outputs += [(self.expression(kind, inner + aggregates, 1), self.name("a"), kind) for kind in kinds]
        group = self._group_by([key for key, _ in inner]) if inner else " HAVING count(*) >= 0"
        if inner and self.rng.random() < 0.3:
            outputs.append((f"grouping({inner[0][0]})", self.name("g"), "int"))
        if not inner:
            having = ""
        chosen = ", ".join(f"{text} AS {name}" for text, name, _ in outputs)
        # Where a join holds two keys equal PostgreSQL 15 orders by one for both, also where a grouping set leaves one of them out.
        cut = "" if any(word in group for word in ("ROLLUP", "CUBE", "SETS")) else self._cut(len(outputs))
        query = f"SELECT {chosen} FROM {source}{self._where(columns)}{group}{having}{cut}"
        return query, [(name, kind) for _, name, kind in outputs]

    def _group_by(self, keys: list[str]) -> str:
        """GROUP BY with grouping sets now and then."""
        listed = ", ".join(keys)
        # PostgreSQL computes what is constant in an expression before it looks for keys in it.
        if self.rng.random() < 0.7 or not all(re.fullmatch(r"\w+\.\w+", key) for key in keys):
            return f" GROUP BY {listed}"
        sets = f"GROUPING SETS (({listed}), ({keys[0]}), ())"
        return f" GROUP BY {self.rng.choice((f'ROLLUP ({listed})', f'CUBE ({listed})', sets))}"

    def _aggregate(self, columns: Columns) -> tuple[str, str]:
        kind = self.rng.choice(("int", "numeric", "float", "text", "date", "time"))
        argument = self.expression(kind, columns, 1)
        extremes = [(f"min({argument})", kind), (f"max({argument})", kind)]
        counts = [
            ("count(*)::int", "int"),
            (f"count({argument})::int", "int"),
            (f"count(DISTINCT {argument})::int", "int"),
        ]
        if kind == "numeric":
            extremes.append((f"sum(DISTINCT {argument})", kind))
        sums = (
            [(f"sum({argument})", kind if kind != "int" else "numeric")] if kind in ("int", "numeric", "float") else []
        )
        return self.rng.choice(extremes + counts + 2 * sums + self._ordered(kind, argument, columns))

    def _ordered(self, kind: str, argument: str, columns: Columns) -> list[tuple[str, str]]:
        """Aggregates that need their values in order."""
        rng = self.rng
        down, distinct = rng.choice(("", " DESC")), rng.choice(("", "DISTINCT "))
        kept = rng.choice(("", f" FILTER (WHERE {self.expression('bool', columns, 1)})"))
        typed = f"({argument})::text" if kind == "text" else argument
        within = f"WITHIN GROUP (ORDER BY {typed}{down}){kept}"
        share = rng.choice(("0", "0.25", "0.5", "1"))
        found = [(f"mode() {within}", kind), (f"percentile_disc({share}) {within}", kind)]
        if kind in ("int", "float"):
            found.append((f"percentile_cont({share}) {within}", "float"))
        if kind == "int":
            bits = rng.choice(("bit_and", "bit_or", "bit_xor"))
            found.append((f"{bits}({distinct}({argument})::bigint){kept}", kind))
        if kind in ("int", "text", "date"):
            found += 2 * [(f"(array_agg({distinct}{typed} ORDER BY {typed}{down}){kept})::text", "text")]
        if kind == "text":
            found += 3 * [(f"string_agg({distinct}{typed}, '; ' ORDER BY {typed}{down}){kept}", kind)]
        return found

    def _set_operation(self, depth: int) -> tuple[str, Columns]:
        kinds = self.rng.choices(KINDS, k=2)
        names = [self.name("u"), self.name("u")]
        sides = []
        for _ in range(2):
            source, columns = self._from(depth - 1)
            chosen = ", ".join(f"{self.expression(k, columns, 1)} AS {n}" for k, n in zip(kinds, names, strict=True))
            sides.append(f"SELECT {chosen} FROM {source}{self._where(columns)}")
        word = self.rng.choice(
            ("UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL")
        )
        return f"{sides[0]} {word} {sides[1]}", list(zip(names, kinds, strict=True))
