"""The proof tests T1 to T10, in the simulator: each promise was checked often enough under faults, and held.

The runs are the same every time; fresh ones are in `tests.sim.test_sim`. What the model of the broker stands for is proved on a
real one: T5 and T8 in tests/sinks/test_exactly_once.py, T7 there as another sink's open transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.sim.test_sim import simulate

SEEDS = 16
"""Seeds from 1 on, in which the process dies at every step and topics are harmed in every way."""


@dataclass(frozen=True)
class Runs:
    """How often each fault happened and each promise was checked, and at which steps the process died how often."""

    faults: dict[str, int]
    checked: dict[str, int]
    died: dict[str, int]


@pytest.fixture(scope="module")
def runs() -> Runs:
    done = simulate("--first", "1", "--seeds", str(SEEDS), "--ticks", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(", ") for line in done.stdout.splitlines()[-3:]]
    counts = [{name: int(count) for name, count in (item.rsplit(" ", 1) for item in line)} for line in lines]
    return Runs(*counts)


def test_t1_every_view_at_every_time_is_its_query(runs: Runs) -> None:
    assert runs.checked["T1"] > 1000
    assert runs.checked["T1 as of"] > 50
    assert runs.checked["starts from a folded table"] > 5


def test_t2_reads_of_one_transaction_see_one_time(runs: Runs) -> None:
    assert runs.checked["T2"] > 20


def test_t3_no_read_goes_back_in_time(runs: Runs) -> None:
    assert runs.checked["T3"] > 50


def test_t4_changes_add_up_to_the_view(runs: Runs) -> None:
    assert runs.checked["T4"] > 100


def test_t5_topics_are_their_views_whichever_step_the_process_died_at(runs: Runs) -> None:
    assert runs.checked["T5"] > 50
    assert runs.faults.keys() >= {"commit in doubt", "commit lost after", "records sent in part"}
    assert runs.died.keys() == {f"S{step}" for step in range(1, 9)}


def test_t6_replays_give_the_same_state_to_the_byte(runs: Runs) -> None:
    assert runs.checked["T6"] > SEEDS


def test_t7_progress_is_read_past_transactions_of_others(runs: Runs) -> None:
    assert runs.checked["T7"] > 20


def test_t8_a_producer_of_before_writes_nothing(runs: Runs) -> None:
    assert runs.faults["zombie sinks"]


def test_t9_a_topic_that_is_not_what_it_was_halts_its_source(runs: Runs) -> None:
    assert runs.checked["T9"] > 20
    assert runs.faults.keys() >= {"topic recreated", "records expired", "records compacted"}


def test_t9_a_compacted_topic_that_is_kept_halts_nothing(runs: Runs) -> None:
    assert runs.checked["starts on a compacted topic"] > 10
    assert runs.faults["compaction"] > 10


def test_t10_a_second_coordinator_is_refused(runs: Runs) -> None:
    assert runs.checked["T10"]
