"""pg_catalog: as much of PostgreSQL's own catalog as psql, drivers, SQLAlchemy and BI tools ask for.

The file's views are views (`v`), for so they are called here, with an index by their key; those that SQL made are what SQL calls
them; sources are foreign tables (`f`).
Always true: oids are stable while the service runs, and those of types are PostgreSQL's own. Tables that exist for clients to
join with and that have no rows here are listed with their columns only. Deliberately unknown: SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dataflow.types import Column, ColumnType, Schema
from planner.catalog import TEMPORARY, known_as, quoted, schema_and_name
from planner.functions.system import (
    ARRAY_OIDS,
    COMMENT,
    DEFINITION,
    INFORMATION_SCHEMA_FIRST,
    NAME,
    OIDS,
    OWNER,
    OWNER_OID,
    SAID,
    SAID_COLUMNS,
    WELL_KNOWN,
)
from serve.definitions import Definition, Definitions, UniqueKey
from serve.reads import NOTHING
from serve.sql.pg_empty import EMPTY
from serve.sql.schemas import SYSTEM, namespaces
from serve.sql.system import Facts, Row, SystemRelation
from serve.sql.types import modifier, size, type_name
from serve.sql.types import oid as type_oid

PG_CATALOG = SYSTEM["pg_catalog"]
FIRST_OID = 16_384
DATABASE_OID = 5
_HEAP, _BTREE = 2, 403
_ROLES = 15_000
"""The oids of those who may log in."""

_INDEXES = 1 << 20
"""What the oid of a relation's index is above its own, and that of a primary key above its index's."""
_DEFAULTS = 1 << 32
"""What the oid of a column's default is above its relation's, times the column's place."""

_CHECKS = 1 << 44
"""The same of a CHECK, times its number."""

_CATEGORIES = {
    "bool": "B",
    "text": "S",
    "date": "D",
    "timestamp": "D",
    "timestamptz": "D",
    "interval": "T",
    "record": "P",
}
_RELKINDS = {"table": "r", "view": "v", "materialized view": "m", "source": "f"}
_NUMBERS = frozenset(("int2", "int4", "int8", "numeric", "float4", "float8"))


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its oid, name and columns. primary, unique: whether it keeps rows to one for each key; constraint: `p` or `u`, if
    one has made it."""

    oid: int
    name: str
    key: tuple[int, ...]
    primary: bool = False
    unique: bool = False
    constraint: str = ""


@dataclass
class Named:
    """A relation as pg_class has it. defaults: by column, the expressions of values that are not given. checks: by
    name, conditions."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: Schema
    query: str = ""
    rows: float = -1.0
    indexes: list[Index] = field(default_factory=list)
    defaults: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)

    def listed(self, index: Index) -> str:
        """An index's columns."""
        return ", ".join(quoted(self.columns[at].name) for at in index.key)

    @property
    def known(self) -> str:
        """Its name among the service's definitions."""
        return known_as(self.schema, self.name)

    @property
    def temporary(self) -> bool:
        """Whether it is the session's own."""
        return self.schema == TEMPORARY

    @property
    def system(self) -> bool:
        """Whether it is the system's own."""
        return self.schema in SYSTEM


def definitions_of(facts: Facts) -> Definitions:
    """What the catalog holds, as far as it is known yet."""
    return facts.published.definitions if facts.published is not None else NOTHING


def relations(facts: Facts) -> list[Named]:
    """Every view, source and system relation."""
    published = facts.published
    views = published.views if published is not None else {}
    objects = definitions_of(facts).objects
    made = {name: one for name, one in objects.items() if one.oid}
    found: list[Named] = []
    for oid, name in enumerate(sorted({*views, *facts.sources} - made.keys()), FIRST_OID):
        if (view := views.get(name)) is not None:
            query = objects[name].query if name in objects else ""
            found.append(Named(oid, "public", name, "v", view.schema, query))
            if view.key and not any(index.on == name and index.key == view.key for index in made.values()):
                found[-1].indexes.append(Index(oid + _INDEXES, f"{name}_key", view.key))
        else:
            found.append(Named(oid, "public", name, "f", facts.sources[name]))
    for name, one in made.items():
        if one.kind != "index":
            where = (one.oid, *schema_and_name(name), _RELKINDS[one.kind])
            found.append(Named(*where, one.schema, one.query, defaults=one.defaults, checks=one.checks))
            for key in one.keys:
                if not key.index:
                    made_with = Index(one.oid + _INDEXES, key.name, key.places, True, True, "p")
                    found[-1].indexes.append(made_with)
    by_name = {r.known: r for r in found}
    for name, one in made.items():
        if one.kind == "index" and one.on in by_name:
            kept = next((key for key in objects[one.on].keys if key.index == name), None)
            by_name[one.on].indexes.append(_index(one, kept))
    for r in found:
        if (view := views.get(r.known)) is not None:
            r.rows = float(view.rows.total)
    system = {
        "pg_catalog": 1000,
        "information_schema": INFORMATION_SCHEMA_FIRST,
        "headwater": 14_000,
        "mz_catalog": 14_200,
        "mz_internal": 14_400,
    }
    for name, columns in facts.system.items():
        schema, _, bare = name.partition(".")
        oid = WELL_KNOWN.get(bare, system[schema]) if schema == "pg_catalog" else system[schema]
        system[schema] += 1
        found.append(Named(oid, schema, bare, "r" if schema == "pg_catalog" else "v", columns))
    return found


def _index(one: Definition, key: UniqueKey | None) -> Index:
    """An index of the catalog, and what it keeps."""
    name = schema_and_name(one.name)[1]
    if key is None:
        return Index(one.oid, name, one.key)
    return Index(one.oid, name, one.key, key.primary, True, ("p" if key.primary else "u") if key.constraint else "")


def _pg_class(facts: Facts) -> Iterator[Row]:
    schemas = namespaces(definitions_of(facts))
    for r in relations(facts):
        yield _class_row(
            r.oid,
            r.name,
            schemas[r.schema],
            r.kind,
            len(r.columns),
            bool(r.indexes),
            r.rows,
            len(r.checks),
            r.temporary,
        )
        for index in r.indexes:
            yield _class_row(index.oid, index.name, schemas[r.schema], "i", len(index.key), False, r.rows)


def _class_row(
    oid: int,
    name: str,
    schema: int,
    kind: str,
    columns: int,
    indexed: bool,
    rows: float,
    checks: int = 0,
    own: bool = False,
) -> Row:
    method = _BTREE if kind == "i" else _HEAP if kind in "rm" else 0
    head = (
        oid,
        name,
        schema,
        oid + 2 * _INDEXES,
        0,
        OWNER_OID,
        method,
        oid,
        0,
        0,
        rows,
        0,
        0,
        indexed,
        False,
        "t" if own else "p",
        kind,
    )
    return (*head, columns, checks, False, False, False, False, False, True, "d", False, 0, "0", "0", None, None, None)


def _pg_attribute(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        for place, column in enumerate(r.columns, 1):
            yield _attribute(r.oid, place, column, column.name in r.defaults)
        for index in r.indexes:
            yield from (_attribute(index.oid, place, r.columns[at]) for place, at in enumerate(index.key, 1))


def _attribute(relation: int, place: int, column: Column, default: bool = False) -> Row:
    type_ = column.type
    sizes = (-1, size(type_), place, 0, -1, modifier(type_), True, "p", "i", "")
    return (
        relation,
        column.name,
        type_oid(type_),
        *sizes,
        not column.nullable,
        default,
        False,
        "",
        "",
        False,
        True,
        0,
        0,
    )


def _pg_namespace(facts: Facts) -> list[Row]:
    return [(oid, name, OWNER_OID, None) for name, oid in namespaces(definitions_of(facts)).items()]


_OTHERS = ((18, "char", 1, 1002), (19, "name", 64, 1003), (26, "oid", 4, 1028), (705, "unknown", -2, 0))
"""Types that no column has, with the oids of arrays of them."""


def _pg_type(_: Facts) -> Iterator[Row]:
    for kind, number in OIDS.items():
        type_ = ColumnType(kind)
        name = type_name(type_)
        category = "N" if name in _NUMBERS else _CATEGORIES.get(name, "U")
        array = ARRAY_OIDS.get(kind, 0)
        yield _type_row(number, name, size(type_), category, 100 if name == "text" else 0, array=array)
        if array:
            yield _type_row(array, f"_{name}", -1, "A", 0, element=number)
    for number, name, length, array in _OTHERS:
        yield _type_row(number, name, length, "N" if name == "oid" else "S", 0, array=array)
        if array:
            yield _type_row(array, f"_{name}", -1, "A", 0, element=number)


def _type_row(
    number: int, name: str, length: int, category: str, collation: int, element: int = 0, array: int = 0
) -> Row:
    head = (
        number,
        name,
        PG_CATALOG,
        OWNER_OID,
        length,
        0 < length <= 8,
        "p" if category == "P" else "b",
        category,
        False,
        True,
        ",",
        0,
    )
    own = "array_" if element else name
    return (
        *head,
        element,
        array,
        f"{own}in",
        f"{own}out",
        f"{own}recv",
        f"{own}send",
        "array_subscript_handler" if element else "-",
        "i",
        "p",
        False,
        0,
        -1,
        0,
        collation,
        None,
        None,
    )


def _vector(numbers: Sequence[int]) -> str:
    """PostgreSQL's int2vector: an array that begins at 0."""
    return f"[0:{len(numbers) - 1}]={{{','.join(map(str, numbers))}}}" if numbers else "{}"


def _pg_index(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        for index in r.indexes:
            key = index.key
            flags = (index.unique, index.primary, False, True, False, True, False, True, True, False)
            places = (_vector([at + 1 for at in key]), _vector([0] * len(key)))
            yield (index.oid, r.oid, len(key), len(key), *flags, *places, None, None)


def _pg_attrdef(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        for place, column in enumerate(r.columns, 1):
            if column.name in r.defaults:
                yield (r.oid + _DEFAULTS * place, r.oid, place, r.defaults[column.name])


def _pg_constraint(facts: Facts) -> Iterator[Row]:
    schemas = namespaces(definitions_of(facts))
    for r in relations(facts):
        for index in r.indexes:
            if index.constraint:
                places = "{" + ",".join(str(at + 1) for at in index.key) + "}"
                head = (
                    index.oid + _INDEXES,
                    index.name,
                    schemas[r.schema],
                    index.constraint,
                    False,
                    False,
                    True,
                    r.oid,
                    0,
                    index.oid,
                    0,
                    0,
                )
                yield (*head, " ", " ", " ", True, False, places, None)
    for oid, r, name, _ in _checks(facts):
        head = (oid, name, schemas[r.schema], "c", False, False, True, r.oid, 0, 0, 0, 0)
        yield (*head, " ", " ", " ", True, False, None, None)


def _checks(facts: Facts) -> Iterator[tuple[int, Named, str, str]]:
    """Oid, table, name and condition of every CHECK."""
    for r in relations(facts):
        for number, (name, condition) in enumerate(r.checks.items(), 1):
            yield r.oid + _CHECKS * number, r, name, condition


def _said(facts: Facts) -> Iterator[Row]:
    """What functions of the catalog answer: definitions of views, indexes (as a whole and by column) and constraints, comments, and
    the spellings of each relation's name."""
    for r in relations(facts):
        name, schema = quoted(r.name), quoted(r.schema)
        if r.schema in ("public", "pg_catalog"):
            yield (NAME, r.oid, 0, name)
        yield (NAME, r.oid, 0, f"{schema}.{name}")
        if r.query:
            yield (DEFINITION, r.oid, 0, r.query)
        for index in r.indexes:
            yield (DEFINITION, index.oid, 0, _create_index(r, index))
            for place, at in enumerate(index.key, 1):
                yield (DEFINITION, index.oid, place, quoted(r.columns[at].name))
            if index.constraint:
                what = "PRIMARY KEY" if index.primary else "UNIQUE"
                yield (DEFINITION, index.oid + _INDEXES, 0, f"{what} ({r.listed(index)})")
    yield from ((DEFINITION, oid, 0, f"CHECK ({condition})") for oid, _, _, condition in _checks(facts))
    yield from ((COMMENT, oid, place, text) for oid, _, place, text in _pg_description(facts))


def _create_index(relation: Named, index: Index) -> str:
    unique = "UNIQUE " if index.unique else ""
    name = f"{quoted(relation.schema)}.{quoted(relation.name)}"
    return f"CREATE {unique}INDEX {quoted(index.name)} ON {name} USING btree ({relation.listed(index)})"


def _pg_description(facts: Facts) -> Iterator[Row]:
    objects = definitions_of(facts).objects
    oids = {r.known: r.oid for r in relations(facts) if not r.system}
    for name, one in objects.items():
        oid = oids.get(name, one.oid)
        if one.comment:
            yield (oid, WELL_KNOWN["pg_class"], 0, one.comment)
        for place, column in enumerate(one.schema if one.kind != "index" else (), 1):
            if column.name in one.column_comments:
                yield (oid, WELL_KNOWN["pg_class"], place, one.column_comments[column.name])


def _pg_database(facts: Facts) -> list[Row]:
    return [(DATABASE_OID, facts.service, OWNER_OID, 6, "C", "C", False, True, -1, "c", None, None, 1663, None)]


def _pg_views(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        if r.kind == "v" and not r.system:
            yield (r.schema, r.name, OWNER, r.query or None)


def _pg_matviews(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        if r.kind == "m":
            yield (r.schema, r.name, OWNER, None, bool(r.indexes), True, r.query)


def _pg_indexes(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        yield from ((r.schema, r.name, index.name, None, _create_index(r, index)) for index in r.indexes)


def roles(facts: Facts) -> Iterator[tuple[int, str]]:
    """Oid and name of who owns everything, of who may log in by the file, and of the names that SQL made."""
    yield OWNER_OID, OWNER
    found = (one for one in definitions_of(facts).beside.values() if one.kind == "role")
    for number, one in enumerate(found, _ROLES):
        if one.name != OWNER:
            yield one.oid or number, one.name


def _pg_roles(facts: Facts) -> Iterator[Row]:
    for oid, name in roles(facts):
        role = definitions_of(facts).find("role", name)
        login = oid == OWNER_OID or (role is not None and role.declared)
        yield (oid, name, False, True, False, False, login, False, -1, None, False)


PG_CATALOG_RELATIONS = (
    SystemRelation(
        "pg_catalog.pg_class",
        "oid bigint, relname text, relnamespace bigint, reltype bigint, reloftype bigint, relowner bigint, relam bigint, "
        "relfilenode bigint, reltablespace bigint, relpages integer, reltuples real, relallvisible integer, "
        "reltoastrelid bigint, relhasindex boolean, relisshared boolean, relpersistence text, relkind text, relnatts integer, "
        "relchecks integer, relhasrules boolean, relhastriggers boolean, relhassubclass boolean, relrowsecurity boolean, "
        "relforcerowsecurity boolean, relispopulated boolean, relreplident text, relispartition boolean, relrewrite bigint, "
        "relfrozenxid text, relminmxid text, relacl text[], reloptions text[], relpartbound text",
        _pg_class,
    ),
    SystemRelation(
        "pg_catalog.pg_attribute",
        "attrelid bigint, attname text, atttypid bigint, attstattarget integer, attlen integer, attnum integer, "
        "attndims integer, attcacheoff integer, atttypmod integer, attbyval boolean, attstorage text, attalign text, "
        "attcompression text, attnotnull boolean, atthasdef boolean, atthasmissing boolean, attidentity text, "
        "attgenerated text, attisdropped boolean, attislocal boolean, attinhcount integer, attcollation bigint",
        _pg_attribute,
    ),
    SystemRelation(
        "pg_catalog.pg_namespace", "oid bigint, nspname text, nspowner bigint, nspacl text[]", _pg_namespace
    ),
    SystemRelation(
        "pg_catalog.pg_type",
        "oid bigint, typname text, typnamespace bigint, typowner bigint, typlen integer, typbyval boolean, typtype text, "
        "typcategory text, typispreferred boolean, typisdefined boolean, typdelim text, typrelid bigint, typelem bigint, "
        "typarray bigint, typinput text, typoutput text, typreceive text, typsend text, typsubscript text, typalign text, "
        "typstorage text, typnotnull boolean, typbasetype bigint, typtypmod integer, typndims integer, typcollation bigint, "
        "typdefault text, typacl text[]",
        _pg_type,
    ),
    SystemRelation(
        "pg_catalog.pg_index",
        "indexrelid bigint, indrelid bigint, indnatts integer, indnkeyatts integer, indisunique boolean, "
        "indisprimary boolean, indisexclusion boolean, indimmediate boolean, indisclustered boolean, indisvalid boolean, "
        "indcheckxmin boolean, indisready boolean, indislive boolean, indisreplident boolean, "
        "indkey smallint[], indoption smallint[], "
        "indexprs text, indpred text",
        _pg_index,
    ),
    SystemRelation("pg_catalog.pg_attrdef", "oid bigint, adrelid bigint, adnum integer, adbin text", _pg_attrdef),
    SystemRelation(
        "pg_catalog.pg_constraint",
        "oid bigint, conname text, connamespace bigint, contype text, condeferrable boolean, condeferred boolean, "
        "convalidated boolean, conrelid bigint, contypid bigint, conindid bigint, conparentid bigint, confrelid bigint, "
        "confupdtype text, confdeltype text, confmatchtype text, conislocal boolean, connoinherit boolean, "
        "conkey smallint[], confkey smallint[]",
        _pg_constraint,
    ),
    SystemRelation(f"pg_catalog.{SAID}", ", ".join(SAID_COLUMNS), _said),
    SystemRelation(
        "pg_catalog.pg_database",
        "oid bigint, datname text, datdba bigint, encoding integer, datcollate text, datctype text, datistemplate boolean, "
        "datallowconn boolean, datconnlimit integer, datlocprovider text, daticulocale text, datcollversion text, "
        "dattablespace bigint, datacl text[]",
        _pg_database,
    ),
    SystemRelation(
        "pg_catalog.pg_roles",
        "oid bigint, rolname text, rolsuper boolean, rolinherit boolean, rolcreaterole boolean, rolcreatedb boolean, "
        "rolcanlogin boolean, rolreplication boolean, rolconnlimit integer, rolvaliduntil timestamptz, rolbypassrls boolean",
        _pg_roles,
    ),
    SystemRelation(
        "pg_catalog.pg_user",
        "usename text, usesysid bigint, usecreatedb boolean, usesuper boolean",
        lambda facts: [(row[1], row[0], False, False) for row in _pg_roles(facts) if row[6]],
    ),
    SystemRelation(
        "pg_catalog.pg_am",
        "oid bigint, amname text, amhandler text, amtype text",
        lambda _: [(_HEAP, "heap", "-", "t"), (_BTREE, "btree", "-", "i")],
    ),
    SystemRelation(
        "pg_catalog.pg_collation",
        "oid bigint, collname text, collnamespace bigint, collowner bigint, collprovider text, collencoding integer",
        lambda _: [(100, "default", PG_CATALOG, OWNER_OID, "d", -1), (950, "C", PG_CATALOG, OWNER_OID, "c", -1)],
    ),
    SystemRelation(
        "pg_catalog.pg_tablespace",
        "oid bigint, spcname text, spcowner bigint, spcacl text[], spcoptions text[]",
        lambda _: [(1663, "pg_default", OWNER_OID, None, None)],
    ),
    SystemRelation(
        "pg_catalog.pg_language", "oid bigint, lanname text, lanowner bigint", lambda _: [(14, "sql", OWNER_OID)]
    ),
    SystemRelation("pg_catalog.pg_views", "schemaname text, viewname text, viewowner text, definition text", _pg_views),
    SystemRelation(
        "pg_catalog.pg_matviews",
        "schemaname text, matviewname text, matviewowner text, tablespace text, hasindexes boolean, ispopulated boolean, "
        "definition text",
        _pg_matviews,
    ),
    SystemRelation(
        "pg_catalog.pg_indexes",
        "schemaname text, tablename text, indexname text, tablespace text, indexdef text",
        _pg_indexes,
    ),
    SystemRelation(
        "pg_catalog.pg_description",
        "objoid bigint, classoid bigint, objsubid integer, description text",
        _pg_description,
    ),
    *(SystemRelation(f"pg_catalog.{name}", columns, lambda _: []) for name, columns in EMPTY.items()),
)
