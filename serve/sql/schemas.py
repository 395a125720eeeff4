"""What there is in every service: the schemas, with their oids in pg_namespace, and the cluster; and the schemas that SQL made."""

from __future__ import annotations

from planner.catalog import PUBLIC
from serve.definitions import Definitions

SYSTEM = {
    "pg_catalog": 11,
    "information_schema": 12_999,
    "headwater": 16_383,
    "mz_catalog": 16_381,
    "mz_internal": 16_382,
}
"""The system's own: nothing can be made in them."""
PUBLIC_OID = 2200
TEMPORARY_OID = 16_380
"""The oid of `mz_temp`, which is there in sessions that have something temporary."""

CLUSTER = "quickstart"
"""What the one cluster is called, as a fresh Materialize calls its own."""


def namespaces(definitions: Definitions | None) -> dict[str, int]:
    """Every schema's oid."""
    made = definitions.schemas.items() if definitions is not None else ()
    return {**SYSTEM, PUBLIC: PUBLIC_OID, **{name: one.oid for name, one in made}}
