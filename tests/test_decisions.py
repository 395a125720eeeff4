"""The decision records can be cited by number."""

from __future__ import annotations

from pathlib import Path

RECORDS = Path(__file__).parents[1] / "docs" / "adr"


def test_each_decision_has_a_number_of_its_own_and_bears_it_in_its_title() -> None:
    paths = sorted(RECORDS.glob("*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        assert path.read_text("utf-8").startswith(f"# {int(path.name[:4])}. ")
