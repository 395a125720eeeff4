"""`make demo`: live data on the embedded broker, a view answering, and a check of the view against a recomputation.

The generator produces orders, payments, corrections, cancellations and deletes at a steady rate, and keeps its own books.
The table is read through HTTP, as a user would. The file that runs is `config/examples/shop.yaml`; KAFKA=host:9092 makes it
use another broker, where the topics of that name must be empty for the check to hold.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from headwater.app import Service
from headwater.check import check
from headwater.errors import DemoMismatchError, HeadwaterError
from headwater.run import set_up_logging

CUSTOMERS = ("ada", "barbara", "edsger", "frances", "grace", "john", "katherine", "leslie", "niklaus", "tony")
TICKS_PER_SECOND = 50
"""How often the generator produces a little."""

SETTLE_SECONDS = 15.0
"""How long the view may take, after the last record was produced, to have them all."""


class Generator(threading.Thread):
    """Produces to `orders` and `payments`; `orders` and `payments` are its books: what is alive, by id."""

    def __init__(self, connection: Mapping[str, str], rate: int) -> None:
        super().__init__(name="generator", daemon=True)
        self.orders: dict[int, dict[str, Any]] = {}
        self.payments: dict[int, dict[str, Any]] = {}
        self.produced = 0
        self.stopped = threading.Event()
        self._chance = random.Random()
        self._rate = rate
        self._next = {"orders": 1, "payments": 1}
        mine = {key: value for key, value in connection.items() if not key.startswith("fetch.")}
        self._producer = Producer({**mine, "linger.ms": 2, "log_level": 4})

    def run(self) -> None:
        """Produce until stopped, then wait until the broker has everything."""
        due, began = 0.0, time.monotonic()
        while not self.stopped.is_set():
            due = (time.monotonic() - began) * self._rate
            while self.produced < due:
                self._act()
            self._producer.poll(0)
            self.stopped.wait(1 / TICKS_PER_SECOND)
        self._producer.flush(SETTLE_SECONDS)
        del self._producer  # before the broker goes, which it would complain about

    def _act(self) -> None:
        roll = self._chance.random()
        if roll < 0.45 or not self.orders:
            order = {"id": self._number("orders"), "customer": self._chance.choice(CUSTOMERS), "status": "new"}
            self._put("orders", self.orders, order | {"amount": self._money(), "at": _now()})
        elif roll < 0.80:
            order_id = self._chance.choice(list(self.orders)[-1000:])
            payment = {"id": self._number("payments"), "order_id": order_id, "amount": self._money(), "at": _now()}
            self._put("payments", self.payments, payment)
        elif roll < 0.90:
            order = self._chance.choice(list(self.orders.values())[-1000:])
            change = {"amount": self._money()} if roll < 0.87 else {"status": "cancelled"}
            self._put("orders", self.orders, order | change)
        else:
            topic, books = ("orders", self.orders) if roll < 0.95 or not self.payments else ("payments", self.payments)
            number = self._chance.choice(list(books)[-1000:])
            del books[number]
            self._send(topic, number, None)

    def _put(self, topic: str, books: dict[int, dict[str, Any]], row: dict[str, Any]) -> None:
        books[row["id"]] = row
        self._send(topic, row["id"], json.dumps(row).encode())

    def _send(self, topic: str, number: int, value: bytes | None) -> None:
        self._producer.produce(topic, value, json.dumps({"id": number}).encode())
        self.produced += 1

    def _number(self, topic: str) -> int:
        self._next[topic] += 1
        return self._next[topic]

    def _money(self) -> str:
        return f"{self._chance.randrange(1, 500)}.{self._chance.randrange(100):02d}"

    def revenue(self) -> dict[str, tuple[int, Decimal, Decimal, Decimal]]:
        """The view `revenue`, computed from the books: customer to orders, total, paid, open."""
        alive = {number: order for number, order in self.orders.items() if order["status"] != "cancelled"}
        answer: dict[str, tuple[int, Decimal, Decimal, Decimal]] = {}
        paid: dict[int, Decimal] = {}
        for payment in self.payments.values():
            paid[payment["order_id"]] = paid.get(payment["order_id"], Decimal(0)) + Decimal(payment["amount"])
        for number, order in alive.items():
            orders, total, received, _ = answer.get(order["customer"], (0, Decimal(0), Decimal(0), Decimal(0)))
            total, received = total + Decimal(order["amount"]), received + paid.get(number, Decimal(0))
            answer[order["customer"]] = (orders + 1, total, received, total - received)
        return answer


def run_demo(seconds: int | None, rate: int) -> None:
    """Run until Ctrl-C, or for `seconds`. DemoMismatchError when the view differs from the recomputation at the end."""
    set_up_logging("error", "text")
    console = Console()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    free = {name: os.environ.get(name, "127.0.0.1:0") for name in ("HTTP", "POSTGRES")}
    service = Service(check(_example(), {**os.environ, **free}))
    generator = None
    try:
        console.print("starting the service on its embedded broker")
        service.start()
        generator = Generator(service.connections["main"], rate)
        generator.start()
        _watch(service, generator, console, stop, seconds)
        generator.stopped.set()
        generator.join(SETTLE_SECONDS)
        _verify(service, generator, console)
    finally:
        if generator is not None:
            generator.stopped.set()
            generator.join(SETTLE_SECONDS)
        service.stop()


def _watch(
    service: Service, generator: Generator, console: Console, stop: threading.Event, seconds: int | None
) -> None:
    """Show the view until it is time to end: a live table on a terminal, a line every two seconds elsewhere."""
    until = time.monotonic() + seconds if seconds is not None else float("inf")
    host, port = service.address or ("", 0)
    console.print(f"try: [bold]curl http://{host}:{port}/views/revenue/ada[/bold]", highlight=False)
    if service.postgres is not None:
        at = f"psql -h {service.postgres[0]} -p {service.postgres[1]} shop"
        console.print(
            f'or:  [bold]{at} -c "SELECT * FROM revenue ORDER BY total DESC"[/bold]', highlight=False, soft_wrap=True
        )
    connection = HTTPConnection(host, port, timeout=10)
    said = 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not stop.wait(0.25) and time.monotonic() < until:
            if service.failure is not None:
                raise HeadwaterError(f"the service failed: {service.failure}")
            status, body = _get(connection, "/views/revenue?limit=100")
            if console.is_terminal:
                live.update(_table(status, body, generator.produced), refresh=True)
            elif time.monotonic() - said >= 2:
                said = time.monotonic()
                console.print(_line(status, body, generator.produced), highlight=False)
    connection.close()


def _table(status: int, body: Any, produced: int) -> Table:
    table = Table(title="revenue", caption=_line(status, body, produced))
    for column in ("customer", "orders", "total", "paid", "open"):
        table.add_column(column, justify="left" if column == "customer" else "right")
    if status == 200:
        for row in sorted(body["rows"], key=lambda row: str(row["customer"])):
            table.add_row(*(str(row[column]) for column in ("customer", "orders", "total", "paid", "open")))
    return table


def _line(status: int, body: Any, produced: int) -> str:
    if status != 200:
        return f"{produced} changes produced; the view answers {status}: {body['error']['message']}"
    age = time.time() * 1000 - body["timestamp"]
    orders = sum(row["orders"] for row in body["rows"])
    return (
        f"{produced} changes produced; {len(body['rows'])} rows, {orders} orders, right as of {max(age, 0):.0f} ms ago"
    )


def _verify(service: Service, generator: Generator, console: Console) -> None:
    """Compare the view, once every record is in it, with the generator's own books."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while sum(source.status().records for source in service.sources.values()) < generator.produced:
        if time.monotonic() > deadline or service.failure is not None:
            raise DemoMismatchError(f"not every record arrived within {SETTLE_SECONDS:.0f} s; see the log above")
        time.sleep(0.05)
    ticks = service.status().ticks
    while service.status().ticks < ticks + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    host, port = service.address or ("", 0)
    status, body = _get(HTTPConnection(host, port, timeout=10), "/views/revenue?limit=1000")
    if status != 200:
        raise DemoMismatchError(f"the view answers {status}: {body}")
    money = ("total", "paid", "open")
    got = {row["customer"]: (row["orders"], *(Decimal(row[column]) for column in money)) for row in body["rows"]}
    want = generator.revenue()
    if got != want:
        wrong = sorted(name for name in got.keys() | want.keys() if got.get(name) != want.get(name))
        raise DemoMismatchError(f"the view differs from its recomputation for {', '.join(wrong)}")
    console.print(
        f"the view equals its recomputation from {generator.produced} changes: {len(want)} customers, "
        f"{len(generator.orders)} orders, {len(generator.payments)} payments",
        highlight=False,
        soft_wrap=True,
    )


def _get(connection: HTTPConnection, path: str) -> tuple[int, Any]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def _example() -> Path:
    """The example's file: beside the rooms, in a checkout and in a wheel alike."""
    import config

    file = Path(config.__file__).parent / "examples" / "shop.yaml"
    if not file.exists():
        sys.exit(f"{file} is missing from this installation")
    return file


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
