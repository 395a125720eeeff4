"""Tables of pg_catalog that clients join with and that have no rows here: their columns.

Deliberately unknown: which client asks for which.
"""

from __future__ import annotations

from collections.abc import Mapping

EMPTY: Mapping[str, str] = {
    "pg_shdescription": "objoid bigint, classoid bigint, description text",
    "pg_inherits": "inhrelid bigint, inhparent bigint, inhseqno integer, inhdetachpending boolean",
    "pg_proc": "oid bigint, proname text, pronamespace bigint, proowner bigint, prolang bigint, prokind text, "
    "prorettype bigint, proretset boolean, provolatile text, proargtypes bigint[], pronargs integer, prosrc text",
    "pg_enum": "oid bigint, enumtypid bigint, enumsortorder real, enumlabel text",
    "pg_range": "rngtypid bigint, rngsubtype bigint, rngmultitypid bigint, rngcollation bigint",
    "pg_trigger": "oid bigint, tgrelid bigint, tgname text, tgfoid bigint, tgenabled text, tgisinternal boolean, tgparentid bigint",
    "pg_rewrite": "oid bigint, rulename text, ev_class bigint, ev_type text, ev_enabled text, is_instead boolean",
    "pg_policy": "oid bigint, polname text, polrelid bigint, polcmd text, polpermissive boolean, polroles bigint[], "
    "polqual text, polwithcheck text",
    "pg_statistic_ext": "oid bigint, stxrelid bigint, stxname text, stxnamespace bigint, stxkind text[], stxstattarget integer",
    "pg_publication": "oid bigint, pubname text, puballtables boolean",
    "pg_publication_rel": "oid bigint, prpubid bigint, prrelid bigint, prqual text, prattrs smallint[]",
    "pg_publication_namespace": "oid bigint, pnpubid bigint, pnnspid bigint",
    "pg_foreign_server": "oid bigint, srvname text, srvowner bigint, srvfdw bigint, srvtype text, srvoptions text[]",
    "pg_foreign_table": "ftrelid bigint, ftserver bigint, ftoptions text[]",
    "pg_foreign_data_wrapper": "oid bigint, fdwname text, fdwowner bigint",
    "pg_partitioned_table": "partrelid bigint, partstrat text, partnatts integer, partdefid bigint",
    "pg_sequence": "seqrelid bigint, seqtypid bigint, seqstart bigint, seqincrement bigint, seqmax bigint, seqmin bigint, "
    "seqcache bigint, seqcycle boolean",
    "pg_depend": "classid bigint, objid bigint, objsubid integer, refclassid bigint, refobjid bigint, refobjsubid integer, "
    "deptype text",
    "pg_extension": "oid bigint, extname text, extowner bigint, extnamespace bigint, extversion text",
    "pg_auth_members": "roleid bigint, member bigint, grantor bigint, admin_option boolean",
    "pg_opclass": "oid bigint, opcname text, opcnamespace bigint, opcmethod bigint, opcintype bigint, opcdefault boolean",
    "pg_cast": "oid bigint, castsource bigint, casttarget bigint, castfunc bigint, castcontext text, castmethod text",
    "pg_tables": "schemaname text, tablename text, tableowner text, tablespace text, hasindexes boolean, hasrules boolean, "
    "hastriggers boolean, rowsecurity boolean",
    "pg_stat_user_tables": "relid bigint, schemaname text, relname text, n_live_tup bigint",
}
"""Tables without rows."""
