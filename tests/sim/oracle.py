"""What the views are, from all records up to some offsets: plain Python, from scratch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
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
    "unowned": "SELECT b.account FROM balance AS b WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.account = b.account)",
}

KEYS = {"balance": ("account",), "owned": ("owner",)}
SINKS = {"balance_out": "balance", "owned_out": "owned"}

Answer = dict[str, Counter[tuple[Any, ...]]]


def answer(transfers: Topic, accounts: Topic, positions: Mapping[str, Mapping[int, int]], time: int) -> Answer:
    """Rows of each view at a time, and under `ratios errors` the errors of that view."""
    moved = transfers.rows(positions.get("transfers", {}))
    told = dict(accounts.rows(positions.get("accounts", {})))
    owners = {account: owner for account, owner in told.items() if owner is not None}
    balance: dict[int, int] = defaultdict(int)
    for _, src, dst, amount, _ in moved:
        balance[dst] += amount
        balance[src] -= amount
    owned: dict[str, list[int]] = {}
    for number, _, dst, amount, _ in moved:
        if dst in owners:
            group = owned.setdefault(owners[dst], [0, 0, 0])
            owned[owners[dst]] = [group[0] + 1, group[1] + amount, max(group[2], number)]
    ordered = sorted(balance.items(), key=lambda item: (-item[1], item[0]))
    ratios = [(account, _divide(1000, amount)) for account, amount in balance.items() if amount]
    zeros = sum(not amount for amount in balance.values())
    return {
        "balance": Counter(balance.items()),
        "total": Counter([(sum(balance.values()) if balance else None, len(balance))]),
        "owned": Counter((owner, *group) for owner, group in owned.items()),
        "richest": Counter(ordered[:3]),
        "ratios": Counter(ratios),
        "recent": Counter(Counter(dst for _, _, dst, _, at in moved if time < at + 3000).items()),
        "unowned": Counter((account,) for account in balance if account not in owners),
        "ratios errors": Counter({("division by zero",): zeros} if zeros else {}),
    }


def _divide(a: int, b: int) -> Any:
    """numeric division, as the views show it."""
    from decimal import ROUND_HALF_UP, Context, Decimal

    context = Context(prec=60, rounding=ROUND_HALF_UP)
    return context.divide(Decimal(a), Decimal(b)).quantize(Decimal(1).scaleb(-16), context=context)
