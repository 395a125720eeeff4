"""Files with mistakes: each is named with its line and column, all at once, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigErrors, load
from config.settings import Settings

GOOD = """\
name: shop
kafka:
  main: {bootstrap.servers: "localhost:9092"}
sources:
  orders:
    kafka: main
    topic: orders
    format: json
    envelope: upsert
    key: [id]
    columns: {id: bigint, amount: "numeric(12,2)"}
views:
  totals:
    key: [id]
    sql: SELECT id, sum(amount) AS total FROM orders GROUP BY id
sinks:
  out: {view: totals, kafka: main, topic: totals, key: [id]}
serve: {http: 127.0.0.1:0}
"""

MAIN = 'main: {bootstrap.servers: "localhost:9092"}'

OUT = """\
  out:
    view: totals
    kafka: main
    topic: totals
    key: [id]
"""


def settings(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ).settings


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """The mistakes of a file, each as `line:column: path: message`."""
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigErrors) as raised:
        load(file, environ)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


def only(tmp_path: Path, text: str, **environ: str) -> str:
    (mistake,) = mistakes(tmp_path, text, **environ)
    return mistake


def test_a_correct_file(tmp_path: Path) -> None:
    found = settings(tmp_path, GOOD)
    assert found.sources["orders"].columns == {"id": "bigint", "amount": "numeric(12,2)"}
    assert found.sinks["out"].partitions == 4
    assert found.state == "./state"


def test_the_example_of_the_repository_is_correct() -> None:
    example = Path(__file__).parents[2] / "config" / "examples" / "shop.yaml"
    assert load(example, {}).settings.kafka == {"main": {"bootstrap.servers": "embedded"}}
    assert load(example, {"KAFKA": "b:9092"}).settings.kafka == {"main": {"bootstrap.servers": "b:9092"}}


def test_a_bucket_keeps_no_rows(tmp_path: Path) -> None:
    text = GOOD.replace("format: json", "format: json\n    keep_rows: always")
    assert settings(tmp_path, text).sources["orders"].keep_rows == "always"
    said = only(tmp_path, text.replace("name: shop", "name: shop\nstate: s3://bucket/shop"))
    assert said.endswith("sources.orders.keep_rows: read always, and a state in a bucket keeps no rows; leave it out, or keep the "
                         "state in a folder")  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: shop", "name: my-shop", "1:7: name: read 'my-shop', allowed: letters, digits and _"),
        ("name: shop", "nam: shop", "1:1: nam: unknown key; did you mean name?"),
        ("name: shop\n", "", "1:1: name: missing: names the service"),
        (
            "format: json",
            "format: jsn",
            "8:13: sources.orders.format: read 'jsn', allowed: json, avro; did you mean json?",
        ),
        ("format: json", "format: 7", "8:13: sources.orders.format: read 7 (a whole number), allowed: json, avro"),
        ("topic: orders", "topic: 5", "7:12: sources.orders.topic: read 5 (a whole number), allowed: text; write '5'"),
        ("topic: orders", "topic:", "7:5: sources.orders.topic: read nothing, allowed: text"),
        ("topic: orders", "topic: ''", "7:12: sources.orders.topic: read '', allowed: at least 1 character"),
        ("    topic: orders\n", "", "5:3: sources.orders.topic: missing: name of the topic to read"),
        (
            "    key: [id]\n    columns",
            "    key: id\n    columns",
            "10:10: sources.orders.key: read 'id', allowed: a list; write [id]",
        ),
        ("    key: [id]\n    columns", "    columns", "5:3: sources.orders.key: missing: envelope upsert needs"),
        ("upsert\n", "none\n", "10:5: sources.orders.key: a key means something only with envelope: upsert"),
        (
            "    key: [id]\n    columns",
            "    key: [ids]\n    columns",
            "10:11: sources.orders.key[0]: read 'ids', no such column; did you mean id?",
        ),
        (
            "    key: [id]\n    columns",
            "    key: [id, id]\n    columns",
            "10:15: sources.orders.key[1]: 'id' is given twice",
        ),
        (
            "kafka: main\n    topic",
            "kafka: mian\n    topic",
            "6:12: sources.orders.kafka: read 'mian', no such connection under kafka; did you mean main?",
        ),
        (
            '    columns: {id: bigint, amount: "numeric(12,2)"}\n',
            "",
            "5:3: sources.orders.columns: missing: format json needs",
        ),
        (
            '{id: bigint, amount: "numeric(12,2)"}',
            "{}",
            "11:14: sources.orders.columns: read an empty mapping, allowed: at least one column",
        ),
        (
            '"numeric(12,2)"',
            "numeric(12,2)",
            '11:46: sources.orders.columns.2): the type before it needs quotes inside { }, as "numeric(12,2)"',
        ),
        (
            'columns: {id: bigint, amount: "numeric(12,2)"}',
            "columns: bigint",
            "11:14: sources.orders.columns: read 'bigint', allowed: a mapping",
        ),
        (
            "view: totals",
            "view: total",
            "17:15: sinks.out.view: read 'total', no such view under views; did you mean totals?",
        ),
        (
            "topic: totals, key: [id]",
            "topic: totals, key: []",
            "17:56: sinks.out.key: read an empty list, allowed: a list of at least 1",
        ),
        ("topic: totals", "topic: orders", "17:43: sinks.out.topic: sources.orders reads topic 'orders' too"),
        (
            "key: [id]}",
            "key: [id], partitions: 0}",
            "17:74: sinks.out.partitions: read 0 (a whole number), allowed: 1 or more",
        ),
        ("key: [id]}", "key: [id], partitions: '4'}", "17:74: sinks.out.partitions: read '4', allowed: a whole number"),
        ("  totals:\n", "  orders:\n", "13:3: views.orders: a source has this name too (line 5); rename one"),
        ("127.0.0.1:0", "localhost", "18:15: serve.http: read 'localhost', allowed: host:port"),
        ("127.0.0.1:0", "localhost:99999", "18:15: serve.http: read 'localhost:99999', allowed: host:port"),
        ("serve: {http: 127.0.0.1:0}", "serve: on", "18:8: serve: read 'on', allowed: a mapping"),
        (
            "bootstrap.servers",
            "bootstrap.server",
            "3:3: kafka.main.bootstrap.servers: missing; rename bootstrap.server",
        ),
        ("format: json\n", "format: avro\n", "3:3: kafka.main.schema.registry.url: missing: sources.orders reads avro"),
        (
            "format: json\n",
            "format: json\n    key_format: text\n    format: json\n",
            "10:5: sources.orders.format: the key is given twice; the first is at 8:5",
        ),
    ],
)
def test_each_mistake(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = mistakes(tmp_path, GOOD.replace(old, new, 1))
    assert any(line.startswith(said) for line in found), found


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("format: json", "format: jsn").replace("topic: totals", "topic: 5").replace("mian", "main")
    text = (
        text.replace("name: shop", "name: ${NAME}")
        .replace("  main:", "  main: &m")
        .replace("key: [id]\n    sql", "keys: 1\n    sql")
    )
    found = mistakes(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["1", "8", "14", "17"]


def test_a_key_of_several_columns_is_not_text(tmp_path: Path) -> None:
    text = GOOD.replace("    key: [id]\n    columns", "    key: [id, amount]\n    key_format: text\n    columns")
    assert "allowed: json or avro for a key of 2 columns" in only(tmp_path, text)


def test_two_sinks_need_two_topics(tmp_path: Path) -> None:
    text = GOOD.replace("serve:", "  two: {view: totals, kafka: main, topic: totals, key: [id]}\nserve:")
    assert only(tmp_path, text).startswith("18:43: sinks.two.topic: sinks.out writes topic 'totals' too")


class TestVariables:
    def test_value_default_and_escape(self, tmp_path: Path) -> None:
        text = GOOD.replace(MAIN, "main:\n    bootstrap.servers: b\n    client.id: ${A}-${B:-b}-$${C}-${D:-}x")
        assert settings(tmp_path, text, A="a").kafka["main"]["client.id"] == "a-b-${C}-x"

    def test_an_empty_variable_takes_the_default(self, tmp_path: Path) -> None:
        assert settings(tmp_path, GOOD.replace("topic: orders", "topic: ${A:-b}"), A="").sources["orders"].topic == "b"

    def test_unset_without_default(self, tmp_path: Path) -> None:
        found = only(tmp_path, GOOD.replace("topic: orders", 'topic: "x${TOPIC}"'))
        assert found == "7:14: sources.orders.topic: the variable TOPIC is not set; set it or write ${TOPIC:-default}"

    @pytest.mark.parametrize("written", ["${}", "${a b}", "${a", "${1a}"])
    def test_unreadable_references(self, tmp_path: Path, written: str) -> None:
        found = only(tmp_path, GOOD.replace("topic: orders", f"topic: '{written}'"))
        assert found.startswith("7:13: sources.orders.topic: cannot read '${")

    def test_a_plain_scalar_is_read_as_yaml(self, tmp_path: Path) -> None:
        text = GOOD.replace(
            "  out: {view: totals, kafka: main, topic: totals, key: [id]}", OUT + "    partitions: ${N}"
        )
        assert settings(tmp_path, text, N="7").sinks["out"].partitions == 7
        assert "read '${N}', allowed: a whole number" in only(tmp_path, text, N="many")
        quoted = GOOD.replace("key: [id]}", 'key: [id], partitions: "${N}"}')
        assert "allowed: a whole number" in only(tmp_path, quoted, N="7")

    def test_a_value_brings_in_no_yaml(self, tmp_path: Path) -> None:
        text = GOOD.replace(MAIN, "main:\n    bootstrap.servers: b\n    client.id: ${A}")
        assert settings(tmp_path, text, A="a: {b\n- c").kafka["main"]["client.id"] == "a: {b\n- c"

    def test_properties_of_connections_are_taken_as_written(self, tmp_path: Path) -> None:
        more = "{bootstrap.servers: b, socket.timeout.ms: 6_000, enable.x: false, sasl.password: '${PW}', empty: ''}"
        found = settings(tmp_path, GOOD.replace('{bootstrap.servers: "localhost:9092"}', more), PW="12")
        assert found.kafka["main"] == {
            "bootstrap.servers": "b",
            "socket.timeout.ms": "6_000",
            "enable.x": "false",
            "sasl.password": "12",
            "empty": "",
        }

    def test_values_of_the_environment_are_never_printed(self, tmp_path: Path) -> None:
        text = GOOD.replace("topic: orders", "topic: ${A}").replace("format: json", "format: ${A}", 1)
        text = text.replace("[id]}", "[id], partitions: '${A}'}").replace("view: totals", "view: '${A}'")
        text = (
            text.replace("name: shop", "name: ${A}")
            .replace("127.0.0.1:0", "'${A}'")
            .replace("key: [id]\n", "key: ['${A}']\n")
        )
        found = "\n".join(mistakes(tmp_path, text, A="hunter-2 and " * 30))
        assert "hunter" not in found
        assert found.count("'${A}'") >= 6, found

    @pytest.mark.parametrize(
        "name",
        ["sasl.password", "ssl.key.password", "oauth.client.secret", "my.token", "ssl.key.pem", "sasl.jaas.config"],
    )
    def test_secrets_are_never_printed(self, tmp_path: Path, name: str) -> None:
        text = GOOD.replace('{bootstrap.servers: "localhost:9092"}', f"{{bootstrap.servers: b, {name}: [hunter2]}}")
        assert only(tmp_path, text).endswith(f"kafka.main.{name}: read a hidden value, allowed: text")


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "1:1: the file is empty"),
            ("# nothing\n", "1:1: the file is empty"),
            ("- a\n", "1:1: allowed: a mapping with name, kafka and sources"),
            ("a: b: c\n", "1:5: not YAML: mapping values are not allowed here"),
            ("a: [1\n", "2:1: not YAML: while parsing a flow sequence; expected ',' or ']'"),
            (
                "a: 1\n---\nb: 2\n",
                "2:1: not YAML: expected a single document in the stream; but found another document",
            ),
            (
                "a: {b: ${C}}\n",
                "1:9: not YAML: while parsing a flow mapping; expected ',' or '}', but got '{'; inside { } and [ ] write",
            ),
            ("name: *x\n", "1:7: not YAML: found undefined alias 'x'"),
            ("name: a\nx: \x01\n", "2:4: not YAML: unacceptable character"),
        ],
    )
    def test_what_is_no_yaml(self, tmp_path: Path, text: str, said: str) -> None:
        assert only(tmp_path, text).startswith(said)

    def test_what_is_no_utf8_and_what_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "bad.yaml").write_bytes(b"name: \xff")
        with pytest.raises(ConfigErrors, match="not UTF-8: byte 6 cannot be read"):
            load(tmp_path / "bad.yaml", {})
        with pytest.raises(ConfigErrors, match="cannot open the file: no such file or directory"):
            load(tmp_path / "none.yaml", {})

    def test_yaml_1_2_words_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        assert (
            settings(tmp_path, "\ufeff" + GOOD.replace("topic: orders", "topic: yes")).sources["orders"].topic == "yes"
        )
        assert (
            settings(tmp_path, GOOD.replace("topic: orders", "topic: 2026-11-22")).sources["orders"].topic
            == "2026-11-22"
        )

    def test_aliases(self, tmp_path: Path) -> None:
        text = GOOD.replace("key: [id]\n    columns", "key: &key [id]\n    columns").replace("key: [id]}", "key: *key}")
        assert settings(tmp_path, text).sinks["out"].key == ("id",)

    def test_an_alias_that_holds_itself(self, tmp_path: Path) -> None:
        assert any("an alias holds itself" in line for line in mistakes(tmp_path, "name: &a [*a]\n"))

    def test_aliases_that_explode(self, tmp_path: Path) -> None:
        rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
        assert any("stands for more than 100000 values" in line for line in mistakes(tmp_path, "\n".join(rows)))

    def test_an_anchor_may_be_used_again(self, tmp_path: Path) -> None:
        text = (
            GOOD.replace("name: shop", "name: &a shop")
            .replace("topic: orders", "topic: &a o")
            .replace("topic: totals", "topic: *a")
        )
        assert any("sources.orders reads topic 'o' too" in line for line in mistakes(tmp_path, text))

    def test_deep_nesting(self, tmp_path: Path) -> None:
        assert "nested too deeply" in only(tmp_path, "name: " + "[" * 5000 + "]" * 5000)

    def test_tags(self, tmp_path: Path) -> None:
        assert settings(tmp_path, GOOD.replace("topic: orders", "topic: !!str 5")).sources["orders"].topic == "5"
        assert (
            "unknown tag '!env'; leave it out" in mistakes(tmp_path, GOOD.replace("topic: orders", "topic: !env X"))[0]
        )
        assert "not a YAML int" in only(tmp_path, GOOD.replace("[id]}", "[id], partitions: !!int many}"))

    def test_keys_that_are_no_text(self, tmp_path: Path) -> None:
        assert any("a key has to be plain text" in line for line in mistakes(tmp_path, GOOD + "? [a]\n: 1\n"))
