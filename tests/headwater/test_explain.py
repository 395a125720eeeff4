"""`headwater explain`: plan, keys, facts and sharing of each view, from the file alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from headwater.__main__ import main

FILE = """
name: shop
kafka:
  main:
    bootstrap.servers: localhost:9092
sources:
  clicks:
    kafka: main
    topic: clicks
    format: json
    columns: {page: text, at: bigint}
  people:
    kafka: main
    topic: people
    format: json
    envelope: upsert
    key: [id]
    columns: {id: bigint not null, page: text}
views:
  pages:
    sql: SELECT DISTINCT page FROM clicks
  latest:
    key: [page]
    sql: SELECT page, max(at) AS at FROM clicks GROUP BY page
  visits:
    sql: SELECT p.id, l.at FROM people p JOIN latest l ON l.page = p.page
"""


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    file = tmp_path / "shop.yaml"
    file.write_text(FILE, encoding="utf-8")
    result = CliRunner().invoke(main, ["explain", str(file), *arguments])
    return result.exit_code, result.output


def test_all_views(tmp_path: Path) -> None:
    code, text = run(tmp_path)
    assert code == 0
    pages, latest, visits = text.split("\n\n")
    assert pages.startswith("view pages\n  columns: page text\n  unique: (page)\n  append-only: yes\n  plan:\n")
    assert "distinct, append-only: keeps each row once" in pages
    assert "  unique: (page)\n  append-only: no\n" in latest
    assert " arrange by (#0) (shared with visits)\n" in latest
    assert "reduce max(#1) by (#0), append-only: keeps the winners\n" in f"{latest}\n"
    assert "view visits" in visits
    assert "arrange by (#0) (shared with latest)\n" in visits


def test_one_view(tmp_path: Path) -> None:
    code, text = run(tmp_path, "latest")
    assert (code, text.count("view ")) == (0, 1)
    assert "    Reduce max(" in text


def test_json_and_stages(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--format", "json")
    assert code == 0
    pages, latest, visits = json.loads(text)
    assert (latest["view"], latest["unique"], latest["append_only"]) == ("latest", [["page"]], False)
    assert latest["columns"] == {"page": "text", "at": "bigint"}
    assert latest["physical"]["Shared With"] == ["visits"]
    assert pages["hints"] == [
        "DISTINCT keeps each different row of clicks: filter with mz_now() on a time in the rows; they have none yet"
    ]
    assert visits["logical"]["Plans"][0]["Node Type"] == "Filter"
    assert "optimized" in visits
    code, text = run(tmp_path, "visits", "--stage", "logical")
    assert "  logical plan:\n    Project p.id, l.at\n" in text
    assert "operators:" not in text


@pytest.mark.parametrize(
    ("view", "said"), [("late", "Error: read late, no such view; there are pages, latest, visits")]
)
def test_no_such_view(tmp_path: Path, view: str, said: str) -> None:
    code, text = run(tmp_path, view)
    assert (code, text.strip()) == (1, said)
