"""Every system relation."""

from __future__ import annotations

from serve.sql.system import SystemRelation

RELATIONS: tuple[SystemRelation, ...] = ()
