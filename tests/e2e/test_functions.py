"""SQL functions in Python, through the doors: in views of the file and of SQL, in queries; errors, and a changed module."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.e2e.books import Client
from tests.e2e.service import RUN, running

MODULE = """
import pyarrow.compute as pc
from headwater.functions import function


@function("gross(amount numeric(12,2), rate numeric(4,2)) returns numeric(12,2)")
def gross(amount, rate):
    return pc.round(pc.multiply(amount, pc.add(rate, 1)), ndigits=2)


@function("inverse(n bigint) returns bigint")
def inverse(n):
    return pc.divide(1000, n)
"""


def test_functions(tmp_path: Path) -> None:
    module = tmp_path / "pricing.py"
    module.write_text(MODULE)
    settings = {
        "name": f"functions_{RUN}",
        "checkpoint": {"interval": "100ms"},
        "kafka": {"main": {"bootstrap.servers": "127.0.0.1:1"}},
        "sources": {},
        "functions": str(module),
        "views": {"rates": {"sql": "SELECT n, gross(n, 0.19) AS price FROM (VALUES (100), (7)) t(n)"}},
        "serve": {"postgres": "127.0.0.1:0"},
    }
    rates = [(7, Decimal("8.33")), (100, Decimal("119.00"))]
    with running(tmp_path, settings) as service:
        client = Client(service)
        assert client.rows("TABLE rates") == rates
        client.run("CREATE TABLE t (n bigint PRIMARY KEY)")
        client.run("CREATE MATERIALIZED VIEW parts AS SELECT n, inverse(n) AS part FROM t")
        client.run("CREATE VIEW named AS SELECT gross(rate => 0.5, amount => n) AS price FROM t")
        client.run("INSERT INTO t VALUES (0), (4), (5)")
        assert client.rows("TABLE parts") == [(4, 250), (5, 200)]
        assert client.rows("SELECT price FROM named") == [(Decimal("0.00"),), (Decimal("6.00"),), (Decimal("7.50"),)]
        assert service.get("/views/parts/errors")[1]["errors"] == [
            {"message": "function inverse: divide by zero", "count": 1}
        ]
        assert client.state("SELECT inverse(n) FROM t") == "22000"
        assert ("Project inverse(t.n)",) in client.rows("EXPLAIN SELECT inverse(n) FROM t")
        assert client.state("SELECT inverse('x')") == "22P02"
        assert client.state("SELECT inverse(true)") == "42883"
        client.run("DELETE FROM t WHERE n = 0")
        assert service.get("/views/parts/errors")[1]["errors"] == []
        client.connection.close()
        service.stop()
        module.write_text(MODULE.replace("divide(1000", "divide(2000"))
        service.start()
        client = Client(service)
        assert client.rows("TABLE parts") == [(4, 500), (5, 400)]
        assert client.rows("TABLE rates") == rates
        client.run("INSERT INTO t VALUES (8)")
        assert client.rows("TABLE parts") == [(4, 500), (5, 400), (8, 250)]
        client.connection.close()
