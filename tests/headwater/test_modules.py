"""The module of functions that a file names: loaded by `check`, its mistakes told at their place, listed by `explain`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from headwater.__main__ import main
from headwater.functions import function
from headwater.modules import load_functions

FILE = """name: shop
kafka:
  main: {{bootstrap.servers: "localhost:9092"}}
sources:
  orders: {{kafka: main, topic: orders, format: json, columns: {{id: bigint, amount: "numeric(12,2)"}}}}
functions: {module}
views:
  totals: {{sql: "SELECT id, gross(amount) AS amount FROM orders"}}
"""
HEAD = "import pyarrow.compute as pc\nfrom headwater.functions import function\n"
GROSS = """
@function("gross(amount numeric(12,2)) returns numeric(12,2)")
def gross(amount):
    return amount
"""


def command(tmp_path: Path, name: str, module: str | None) -> str:
    """What a command says about the file with this module."""
    path, file = tmp_path / "shop.py", tmp_path / "shop.yaml"
    if module is not None:
        path.write_text(HEAD + textwrap.dedent(module), encoding="utf-8")
    file.write_text(FILE.format(module=path), encoding="utf-8")
    return CliRunner().invoke(main, [name, str(file)]).output.replace(f"{tmp_path}/", "")


def test_a_view_that_calls_one(tmp_path: Path) -> None:
    assert command(tmp_path, "check", GROSS) == "shop.yaml: correct: 1 sources, 1 views, 0 sinks\n"
    said = command(tmp_path, "explain", GROSS)
    assert "  functions in Python: gross(amount numeric(12,2)) returns numeric(12,2)\n" in said
    assert "    Project orders.id, gross(orders.amount)\n" in said


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, "cannot read shop.py: no such file or directory"),
        ("x = 1", "shop.py has no functions; write @function('name(parameter type) returns type') before one"),
        ("x = = 1", "cannot run shop.py, line 3: SyntaxError"),
        ("\n\nimport nothing_of_that_name", "cannot run shop.py, line 5: ModuleNotFoundError"),
        (GROSS.replace("gross(amount numeric", "gross(amount numerix"), "shop.py: gross: unknown type 'numerix(12,2)'"),
        (
            GROSS + GROSS.replace("def gross", "def other"),
            "shop.py: gross is there twice with the same types; remove one of them",
        ),
        (GROSS.replace('"gross', '"upper'), "shop.py: SQL has a function upper already; give yours another name"),
        (GROSS.replace("def gross(amount)", "def gross(amount, rate)"), "does not fit Python's gross(amount, rate)"),
    ],
)
def test_mistakes(tmp_path: Path, module: str | None, said: str) -> None:
    (line,) = command(tmp_path, "check", module).splitlines()
    assert line.startswith("shop.yaml:6:12: functions: ")
    assert said in line


def test_mistakes_of_views_are_told_beside_those_of_the_module(tmp_path: Path) -> None:
    path, file = tmp_path / "shop.py", tmp_path / "shop.yaml"
    path.write_text("1 +", encoding="utf-8")
    file.write_text(FILE.format(module=path) + '  wrong: {sql: "SELECT nothing FROM orders"}\n', encoding="utf-8")
    said = CliRunner().invoke(main, ["check", str(file)]).output.splitlines()
    assert [line.removeprefix(str(file)).split(": ")[1] for line in said] == ["functions", "views.wrong.sql"]


def test_a_decorated_function_stays_what_it_was(tmp_path: Path) -> None:
    @function("twice(n bigint) returns bigint")
    def twice(n: int) -> int:
        return 2 * n

    assert twice(2) == 4


def test_the_hash_is_that_of_the_text(tmp_path: Path) -> None:
    module = tmp_path / "shop.py"
    texts = [HEAD + GROSS, HEAD + GROSS, HEAD + GROSS + "\n# a comment"]
    found = []
    for text in texts:
        module.write_text(text, encoding="utf-8")
        found.append(load_functions(str(module))["gross"][0].text)
    assert found[0] == found[1] != found[2]
