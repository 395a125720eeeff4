"""`headwater check`: every mistake of a file at its line and column, SQL included, and no side effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.types import BIGINT, TEXT, Column, ColumnType
from headwater.check import Checked, CheckErrors, check, parse_column
from tests.config.test_load import GOOD

VIEW = "    sql: SELECT id, sum(amount) AS total FROM orders GROUP BY id\n"


def checked(tmp_path: Path, text: str, **environ: str) -> Checked:
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    return check(file, environ)


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """The mistakes of a file, each as `line:column: path: message`."""
    with pytest.raises(CheckErrors) as raised:
        checked(tmp_path, text, **environ)
    return [line.removeprefix(f"{tmp_path / 'shop.yaml'}:") for line in str(raised.value).splitlines()]


def only(tmp_path: Path, text: str, **environ: str) -> str:
    found = mistakes(tmp_path, text, **environ)
    assert len(found) == 1, found
    return found[0]


def test_a_correct_file(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD)
    assert found.schemas["orders"] == (Column("id", BIGINT), Column("amount", ColumnType.parse("numeric(12,2)")))
    assert [column.name for column in found.planned.schemas["totals"]] == ["id", "total"]
    assert found.notes == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.yaml"], "check writes nothing"


def test_the_examples_of_the_repository_are_correct(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    found = check(root / "config" / "examples" / "shop.yaml", {})
    assert found.planned.order == ("paid", "revenue", "debtors")


def test_the_deployed_file_is_correct(tmp_path: Path) -> None:
    from tests.deploy.test_deploy import manifest

    checked(tmp_path, manifest("ConfigMap")["data"]["headwater.yaml"], KAFKA="kafka:9092")


class TestConnections:
    def test_a_property_that_librdkafka_does_not_know(self, tmp_path: Path) -> None:
        text = GOOD.replace('"localhost:9092"}', '"localhost:9092", securty.protocol: ssl}')
        assert only(tmp_path, text) == (
            "3:65: kafka.main.securty.protocol: librdkafka refuses it: "
            'no such configuration property: "securty.protocol"'
        )

    def test_a_value_that_it_does_not_take(self, tmp_path: Path) -> None:
        text = GOOD.replace('"localhost:9092"}', '"localhost:9092", security.protocol: "${PROTOCOL}"}')
        assert checked(tmp_path, text, PROTOCOL="sasl_ssl").settings.kafka["main"]["security.protocol"] == "sasl_ssl"
        message = only(tmp_path, text, PROTOCOL="hunter2")
        assert 'invalid value "${...}" for configuration property "security.protocol"' in message
        assert "hunter2" not in message

    def test_what_is_the_registrys_is_not_librdkafkas(self, tmp_path: Path) -> None:
        checked(tmp_path, GOOD.replace('"localhost:9092"}', '"localhost:9092", schema.registry.url: "http://r"}'))

    @pytest.mark.parametrize("topic", ["new orders", "orders/new", "..", "bestellungen_für"])
    def test_topics_have_names_that_kafka_takes(self, tmp_path: Path, topic: str) -> None:
        message = only(tmp_path, GOOD.replace("topic: orders", f"topic: '{topic}'"))
        assert message.startswith("7:12: sources.orders.topic: ")
        assert "Kafka knows no other topic names" in message


class TestColumns:
    @pytest.mark.parametrize("text", ["bigint not null", "  BIGINT \n NOT   NULL ", "int8 not null"])
    def test_not_null(self, text: str) -> None:
        assert parse_column("a", text) == Column("a", BIGINT, nullable=False)

    def test_nullable(self) -> None:
        assert parse_column("a", "text") == Column("a", TEXT, nullable=True)

    def test_unknown_types(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("id: bigint,", "id: bigit,"))
        assert found.startswith("11:19: sources.orders.columns.id: unknown type 'bigit'; the types are boolean, ")
        assert found.endswith("did you mean bigint?")
        assert "precision is 1 to 38" in only(tmp_path, GOOD.replace("12,2", "99,2"))

    def test_a_type_from_the_environment_is_not_printed(self, tmp_path: Path) -> None:
        text = GOOD.replace("id: bigint,", 'id: "${TYPE}",')
        assert checked(tmp_path, text, TYPE="bigint").schemas["orders"][0].type == BIGINT
        found = only(tmp_path, text, TYPE="hunter2")
        assert found.startswith("11:19: sources.orders.columns.id: read '${TYPE}', allowed: a type as bigint")

    def test_views_over_broken_columns_are_not_reported(self, tmp_path: Path) -> None:
        text = GOOD.replace("id: bigint,", "id: bigit,").replace("sum(amount)", "sum(nothing)")
        assert only(tmp_path, text).startswith("11:19:")


BLOCKS = {
    "plain": "    sql: SELECT id, sum(WRONG) AS total FROM orders GROUP BY id\n",
    "plain over lines": "    sql:\n      SELECT id,\n        sum(WRONG) AS total\n\n      FROM orders GROUP BY id\n",
    "single quotes": "    sql: 'SELECT ''x'' AS x, id, sum(WRONG) AS total FROM orders GROUP BY id'\n",
    "double quotes": '    sql: "SELECT id,\\n  \\"id\\" AS i, \\\n       sum(WRONG) AS total FROM orders GROUP BY id"\n',
    "literal": "    sql: |\n      SELECT id,\n        sum(WRONG) AS total\n      FROM orders\n      GROUP BY id\n",
    "literal, indented": "    sql: |2-\n        SELECT id,\n        sum(WRONG) AS total\n      FROM orders\n      GROUP BY id\n",
    "folded": "    sql: >\n      SELECT id,\n      sum(WRONG) AS total\n\n      FROM orders\n      GROUP BY id\n",
    "folded, with more": "    sql: >-  # no\n      SELECT id,\n          sum(WRONG) AS total\n      FROM orders GROUP BY id\n",
}


class TestSql:
    @pytest.mark.parametrize("style", BLOCKS)
    def test_positions_in_every_style(self, tmp_path: Path, style: str) -> None:
        text = GOOD.replace(VIEW, BLOCKS[style])
        line, column = next((i, s.index("WRONG")) for i, s in enumerate(text.split("\n")) if "WRONG" in s)
        found = only(tmp_path, text)
        assert found.startswith(f"{line + 1}:{column + 1}: views.totals.sql: "), found
        assert 'column "wrong" does not exist' in found

    def test_syntax_errors(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("GROUP BY id\n", "GROUP BY BY id\n"))
        assert found.startswith("15:")

    def test_every_view_at_once(self, tmp_path: Path) -> None:
        more = "  a: {sql: SELECT nothing FROM orders}\n  b: {sql: SELECT nothing FROM a}\n  c: {sql: SELECT id FROM order}\n"
        found = mistakes(tmp_path, GOOD.replace("sinks:", more + "sinks:").replace("format: json", "format: jsn"))
        assert [line.split(":")[0] for line in found] == ["8", "16", "18"]
        assert "did you mean" in found[2]

    def test_views_in_any_order(self, tmp_path: Path) -> None:
        more = "  a: {sql: SELECT big.id FROM big}\n  big: {sql: SELECT id FROM totals WHERE total > 5}\n"
        assert checked(tmp_path, GOOD.replace("sinks:", more + "sinks:")).planned.order == ("totals", "big", "a")

    def test_a_circle(self, tmp_path: Path) -> None:
        more = "  a: {sql: SELECT * FROM b}\n  b: {sql: SELECT * FROM a}\n"
        assert any("circle" in line for line in mistakes(tmp_path, GOOD.replace("sinks:", more + "sinks:")))

    def test_values_of_the_environment_are_hidden(self, tmp_path: Path) -> None:
        text = GOOD.replace("sum(amount)", "sum(${COLUMN})").replace("FROM orders GROUP", "FROM ${TABLE:-orders} GROUP")
        found = only(tmp_path, text, COLUMN="hunter_two")
        assert "hunter" not in found.lower()
        assert found.startswith("15:25: views.totals.sql: ")
        assert checked(tmp_path, text, COLUMN="amount").planned.order == ("totals",)


class TestKeys:
    def test_view_key(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("key: [id]\n    sql", "key: [ids]\n    sql"))
        assert found == "14:11: views.totals.key[0]: read 'ids', no such column in view totals; did you mean id?"

    def test_sink_key(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("key: [id]}", "key: [idd]}"))
        assert found == "17:57: sinks.out.key[0]: read 'idd', no such column in view totals; did you mean id?"

    def test_a_sink_key_has_to_be_unique(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("key: [id]}", "key: [total]}"))
        assert found == (
            "17:56: sinks.out.key: read 'total', which the SQL of view totals does not prove unique; allowed: (id)"
        )
        ungrouped = GOOD.replace(VIEW, "    sql: SELECT amount AS id FROM orders\n")
        assert only(tmp_path, ungrouped).endswith("add GROUP BY id to its SQL, so that each key has one row")

    def test_keys_of_upsert_sources_count(self, tmp_path: Path) -> None:
        checked(tmp_path, GOOD.replace(VIEW, "    sql: SELECT amount, id FROM orders WHERE amount > 5\n"))
        plain = GOOD.replace("envelope: upsert\n    key: [id]\n", "envelope: none\n")
        found = only(tmp_path, plain.replace(VIEW, "    sql: SELECT amount, id FROM orders WHERE amount > 5\n"))
        assert "does not prove unique" in found

    def test_a_superset_of_a_unique_key_is_unique(self, tmp_path: Path) -> None:
        checked(tmp_path, GOOD.replace("key: [id]}", "key: [total, id]}"))


AVRO = """\
  events: {kafka: main, topic: events, format: avro}
views:
  seen: {key: [nothing], sql: SELECT count(*) AS n FROM events}
  more: {sql: SELECT n FROM seen}
"""


class TestRegistry:
    def test_what_only_the_registry_knows_is_a_note(self, tmp_path: Path) -> None:
        text = GOOD.replace("views:\n", AVRO).replace('"localhost:9092"', '"b", schema.registry.url: "http://r"')
        found = checked(tmp_path, text)
        file = tmp_path / "shop.yaml"
        assert found.notes == (
            f"{file}:14:3: views.seen: not checked: its columns come from the schema registry",
            f"{file}:15:3: views.more: not checked: its columns come from the schema registry",
        )
        assert found.planned.order == ("totals",)
        assert "events" not in found.schemas

    def test_with_columns_it_is_checked(self, tmp_path: Path) -> None:
        avro = AVRO.replace("format: avro}", "format: avro, columns: {n: bigint}}").replace("[nothing]", "[n]")
        text = GOOD.replace("views:\n", avro).replace('"localhost:9092"', '"b", schema.registry.url: "http://r"')
        assert checked(tmp_path, text).notes == ()


def test_shape_references_types_and_sql_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("serve: {http: 127.0.0.1:0}", "serve: {htp: 1}").replace(
        "kafka: main\n    topic", "kafka: mian\n    topic"
    )
    text = text.replace("sum(amount)", "sum(nothing)")
    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["6", "15", "18"]


def test_a_clash_of_names_is_reported_once(tmp_path: Path) -> None:
    assert "a source has this name too" in only(
        tmp_path, GOOD.replace("  totals:\n", "  orders:\n").replace("view: totals", "view: orders")
    )
