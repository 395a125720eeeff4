"""What column names mean inside one FROM clause.

Always true: a field's index is its position in the rows of the FROM clause, all its tables side by side. `visible` is what `*`
and unqualified names see, in PostgreSQL's order (columns merged by USING first); `tables` is what `t.x` and `t.*` see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from dataflow.types import ColumnType
from planner.catalog import spelling, suggest
from planner.errors import did_you_mean
from planner.parse import Text


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a FROM clause."""

    name: str
    type: ColumnType
    index: int
    table: str
    nullable: bool

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, slots=True)
class Scope:
    """The fields of a FROM clause. `originals` maps a relation's own name to the alias that hides it.

    values: the tables that are functions of one column; their name alone, where no column has it, means that column.
    """

    visible: tuple[Field, ...] = ()
    tables: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()

    def at(self, places: Sequence[int]) -> Scope:
        """The same scope of one table, its fields at these positions."""
        moved = tuple(replace(f, index=places[f.index]) for f in self.visible)
        return replace(self, visible=moved, tables=dict.fromkeys(self.tables, moved))

    def shifted(self, by: int) -> Scope:
        """The same scope with every field `by` positions to the right."""
        moved = {f.index: replace(f, index=f.index + by) for fields in self.tables.values() for f in fields}
        return Scope(
            tuple(replace(f, index=f.index + by) for f in self.visible),
            {name: tuple(moved[f.index] for f in fields) for name, fields in self.tables.items()},
            self.originals,
            values=self.values,
        )

    def joined(self, other: Scope, text: Text, node: exp.Expr) -> Scope:
        """Both scopes side by side; `other` is already shifted. Raises SqlError when both have a table of one name."""
        for name in other.tables:
            if name in self.tables:
                hint = f"give one of them another name: ... AS {name}_2"
                raise text.error(node, f'table name "{name}" specified more than once', hint)
        return Scope(
            self.visible + other.visible,
            {**self.tables, **other.tables},
            {**self.originals, **other.originals},
            values=self.values | other.values,
        )

    def with_outside(self, names: frozenset[str]) -> Scope:
        """The same scope, knowing tables that stand in the query but cannot be read from here."""
        return replace(self, outside=names - frozenset(self.tables))

    def merged(self, front: tuple[Field, ...]) -> Scope:
        """The scope after USING: the columns of these names once, at the front, as these fields."""
        names = {f.name for f in front}
        return replace(self, visible=front + tuple(f for f in self.visible if f.name not in names))

    def nulled(self, first: int, end: int) -> Scope:
        """The scope after an outer join that may leave the columns from `first` up to `end` NULL."""

        def change(fields: tuple[Field, ...]) -> tuple[Field, ...]:
            return tuple(replace(f, nullable=True) if first <= f.index < end else f for f in fields)

        tables = {name: change(fields) for name, fields in self.tables.items()}
        return replace(self, visible=change(self.visible), tables=tables)

    def knows(self, node: exp.Column) -> bool:
        """Whether there is a table or, without a table's name, a column of the name, so that no SELECT further out is meant."""
        if node.args.get("table") is not None:
            return spelling(node.args["table"]) in self.tables
        name = spelling(node.this)
        return name in self.values or any(f.name == name for f in self.visible)

    def column(self, node: exp.Column, text: Text) -> Field:
        """The field that a column reference means. Raises SqlError with PostgreSQL's text."""
        text.only(node, "this", "table")
        name = spelling(node.this)
        if node.args.get("table") is None:
            return self._unqualified(name, node, text)
        table = spelling(node.args["table"])
        fields = self.table(table, node, text)
        found = [f for f in fields if f.name == name]
        if not found:
            raise text.error(node, f"column {table}.{name} does not exist", suggest(name, (f.name for f in fields)))
        if len(found) > 1:
            raise text.error(node, f'column reference "{name}" is ambiguous')
        return found[0]

    def _unqualified(self, name: str, node: exp.Expr, text: Text) -> Field:
        found = [f for f in self.visible if f.name == name]
        if len(found) > 1:
            tables = sorted({f.table for f in found})
            hint = f"write {' or '.join(f'{table}.{name}' for table in tables)}" if len(tables) > 1 else None
            raise text.error(node, f'column reference "{name}" is ambiguous', hint)
        if not found and name in self.values:
            return self.tables[name][0]
        if not found:
            known = [f.name for f in self.visible]
            hint = f"write {name}.* for all its columns" if name in self.tables else None
            if isinstance(node.this, exp.Identifier) and node.this.quoted and not did_you_mean(name, known):
                hint = f"double quotes name a column; a text stands in single quotes: '{name}'"
            raise text.error(node, f'column "{name}" does not exist', hint or suggest(name, known))
        return found[0]

    def table(self, name: str, node: exp.Expr, text: Text) -> tuple[Field, ...]:
        """The fields of a table by its alias. Raises SqlError with PostgreSQL's text."""
        if name in self.tables:
            return self.tables[name]
        if name in self.outside:
            hint = f'there is an entry for table "{name}", but it cannot be referenced from this part of the query'
            raise text.error(node, f'invalid reference to FROM-clause entry for table "{name}"', hint)
        if name in self.originals:
            hint = f'perhaps you meant to reference the table alias "{self.originals[name]}"'
            raise text.error(node, f'invalid reference to FROM-clause entry for table "{name}"', hint)
        column = any(f.name == name for f in self.visible)
        inside = f"{name} is a column: what is in its JSON is {name} -> 'a', and {name} ->> 'a' as text"
        message = f'missing FROM-clause entry for table "{name}"'
        raise text.error(node, message, inside if column else suggest(name, self.tables))


def scope_of(alias: str, original: str, columns: tuple[tuple[str, ColumnType, bool], ...]) -> Scope:
    """The scope of one table; columns are (name, type, nullable)."""
    fields = tuple(Field(name, type_, i, alias, nullable) for i, (name, type_, nullable) in enumerate(columns))
    return Scope(fields, {alias: fields} if alias else {}, {original: alias} if original and original != alias else {})
