"""What the views are, from all records up to some offsets: plain Python, from scratch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from tests.sim.broker import Topic

VIEWS = {
    "balance": "SELECT account, sum(amount) AS amount FROM (SELECT dst AS account, amount FROM transfers "
    "UNION ALL SELECT src, -amount FROM transfers) AS moves GROUP BY account",
    "total": "SELECT sum(amount) AS amount, count(*) AS accounts FROM balance",
    "owned": "SELECT a.owner, count(*) AS n, sum(t.amount) AS amount, max(t.id) AS latest FROM transfers AS t "
    "JOIN accounts AS a ON a.account = t.dst GROUP BY a.owner",
    "richest": "SELECT account, amount FROM balance ORDER BY amount DESC, account LIMIT 3",
    "ratios": "SELECT account, 1000 / amount AS ratio FROM balance",
    "recent": "SELECT dst, count(*) AS n FROM transfers WHERE mz_now() < at + 3000 GROUP BY dst",
    "limited": 'SELECT l.account, l.ceiling, b.amount FROM "table 1" AS l LEFT JOIN balance AS b ON b.account = l.account',
    "unowned": "SELECT b.account FROM balance AS b WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.account = b.account)",
}

ALWAYS = ("balance", "total", "owned")
"""Views that every run has."""

LIMITED = "limited"
"""The view that runs with a table have."""

KEYS = {"balance": ("account",), "owned": ("owner",)}
SINKS = {"balance_out": "balance", "owned_out": "owned"}

Answer = dict[str, Counter[tuple[Any, ...]]]


def answer(
    transfers: Topic,
    accounts: Topic,
    limits: Mapping[tuple[int, int], int],
    positions: Mapping[str, Mapping[int, int]],
    time: int,
    wanted: Container[str],
) -> Answer:
    """Rows of each wanted view at a time, and under `ratios errors` the errors of that view. limits: the table's rows then."""
    moved = transfers.rows(positions.get("transfers", {}))
    told = dict(accounts.rows(positions.get("accounts", {})))
    owners = {account: owner for account, owner in told.items() if owner is not None}
    balance: dict[int, int] = defaultdict(int)
    received: dict[int, list[int]] = {}
    for number, src, dst, amount, _ in moved:
        balance[dst] += amount
        balance[src] -= amount
        if dst not in received:
            received[dst] = [0, 0, 0]
        group = received[dst]
        group[0] += 1
        group[1] += amount
        if number > group[2]:
            group[2] = number
    owned: dict[str, list[int]] = {}
    for account, (count, amount, last) in received.items():
        if account in owners:
            group = owned.setdefault(owners[account], [0, 0, 0])
            owned[owners[account]] = [group[0] + count, group[1] + amount, max(group[2], last)]
    answers: Answer = {
        "balance": Counter(balance.items()),
        "total": Counter([(sum(balance.values()) if balance else None, len(balance))]),
        "owned": Counter((owner, *group) for owner, group in owned.items()),
    }
    if "richest" in wanted:
        ordered = sorted(balance.items(), key=lambda item: (-item[1], item[0]))
        answers["richest"] = Counter(ordered[:3])
    if "ratios" in wanted:
        zeros = sum(not amount for amount in balance.values())
        answers["ratios"] = Counter((account, _divide(1000, amount)) for account, amount in balance.items() if amount)
        answers["ratios errors"] = Counter({("division by zero",): zeros} if zeros else {})
    if "recent" in wanted:
        answers["recent"] = Counter(Counter(row[2] for row in moved if time < row[4] + 3000).items())
    if LIMITED in wanted:
        answers[LIMITED] = Counter({(*row, balance.get(row[0])): count for row, count in limits.items()})
    if "unowned" in wanted:
        answers["unowned"] = Counter((account,) for account in balance if account not in owners)
    return answers


def _divide(a: int, b: int) -> Any:
    """numeric division, as the views show it."""
    context = Context(prec=60, rounding=ROUND_HALF_UP)
    return context.divide(Decimal(a), Decimal(b)).quantize(Decimal(1).scaleb(-16), context=context)
