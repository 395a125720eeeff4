"""Every system relation."""

from __future__ import annotations

from serve.sql.information_schema import INFORMATION_SCHEMA_RELATIONS
from serve.sql.introspection import INTROSPECTION_RELATIONS
from serve.sql.mz_catalog import MZ_RELATIONS
from serve.sql.pg_catalog import PG_CATALOG_RELATIONS
from serve.sql.system import SystemRelation

RELATIONS: tuple[SystemRelation, ...] = (
    *PG_CATALOG_RELATIONS,
    *INFORMATION_SCHEMA_RELATIONS,
    *INTROSPECTION_RELATIONS,
    *MZ_RELATIONS,
)
