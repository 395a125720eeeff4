"""The remap log: what was appended comes back, whatever a crash leaves; damage is said, never swallowed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from functools import reduce
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import remap
from ingest.ranges import Range, ReplayMismatch, compare
from ingest.remap import HEADER, Binding, RemapError, RemapLog, encode, read

_U64 = st.integers(0, 2**64 - 1)
_RANGES = st.builds(Range, st.integers(0, 9), st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**40), _U64)
_SHAPES = st.tuples(
    st.dictionaries(st.text(max_size=9), st.lists(_RANGES, max_size=4).map(tuple), max_size=3),
    st.dictionaries(st.text(max_size=9), st.text(max_size=32), max_size=2),
    st.text(max_size=40),
    st.integers(1, 100),
)


@st.composite
def _bindings(draw: st.DrawFn) -> list[Binding]:
    times = sorted(draw(st.sets(st.integers(0, 2**62), max_size=6)))
    return [Binding(time, *draw(_SHAPES)) for time in times]


def _content(bindings: list[Binding]) -> bytes:
    return HEADER + b"".join(encode(binding) for binding in bindings)


def _written(folder: Path) -> list[Binding]:
    return read((folder / "remap.log").read_bytes(), "f")[0]


def _binding(time: int, start: int = 0) -> Binding:
    return Binding(time, {"orders": (Range(0, start, start + 5, 5, 2**63 + time),)}, {"orders": "ab" * 16}, "c" * 64, 3)


@given(_bindings())
def test_what_was_written_is_read(bindings: list[Binding]) -> None:
    content = _content(bindings)
    assert read(content, "f") == (bindings, len(content))


@given(_bindings(), st.data())
def test_a_write_cut_short_is_cut_off(bindings: list[Binding], data: st.DataObject) -> None:
    content = _content(bindings)
    size = data.draw(st.integers(len(HEADER), len(content)))
    found, whole = read(content[:size], "f")
    assert found == bindings[: len(found)]
    assert whole <= size
    assert _content(found) == content[:whole]
    assert size - whole < (len(encode(bindings[len(found)])) if len(found) < len(bindings) else 1)


@given(_bindings(), st.data())
def test_an_unwritten_tail_is_cut_off(bindings: list[Binding], data: st.DataObject) -> None:
    content = _content(bindings)
    size = data.draw(st.integers(len(HEADER), len(content)))
    sector = (size + 511) // 512 * 512
    torn = content[:sector] + bytes(data.draw(st.integers(0, 2000)))
    found, whole = read(torn, "f")
    assert found == bindings[: len(found)]
    assert whole <= len(content)


@settings(max_examples=300)
@given(_bindings().filter(bool), st.data())
def test_a_flipped_bit_is_said(bindings: list[Binding], data: st.DataObject) -> None:
    content = bytearray(_content(bindings))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RemapError, match=r"damaged at offset \d+|not a remap log"):
        read(bytes(content), "f")


def test_every_flipped_byte_is_said() -> None:
    whole = _content([_binding(1), _binding(2, 5), _binding(3, 10)])
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 0xFF
        with pytest.raises(RemapError):
            read(bytes(content), "f")


def test_append_and_open_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    folder.parent.mkdir()
    log = RemapLog.open(folder)
    assert log.bindings == []
    log.append([_binding(1), _binding(2, 5)])
    log.append([_binding(3, 10)])
    assert _written(folder) == [_binding(1), _binding(2, 5), _binding(3, 10)]
    log.close()
    log.close()
    again = RemapLog.open(folder)
    assert again.bindings == [_binding(1), _binding(2, 5), _binding(3, 10)]
    assert again.nbytes == (folder / "remap.log").stat().st_size
    assert reduce(Range.extended, [found.ranges["orders"][0] for found in again.bindings]) == Range(
        0, 0, 15, 15, (3 * 2**63 + 6) % 2**64
    )
    again.forget()
    with pytest.raises(RemapError, match="time 3 is not after 3"):
        again.append([_binding(3, 15)])
    again.append([_binding(4, 15)])
    assert again.bindings == [], "bindings pile up in memory"
    assert _written(folder)[-1] == _binding(4, 15)
    again.close()


def test_goes_on_after_a_torn_tail(tmp_path: Path) -> None:
    log = RemapLog.open(tmp_path)
    log.append([_binding(1), _binding(2, 5)])
    log.close()
    path = tmp_path / "remap.log"
    path.write_bytes(path.read_bytes()[:-3])
    log = RemapLog.open(tmp_path)
    assert log.bindings == [_binding(1)]
    log.append([_binding(9, 5)])
    log.close()
    log = RemapLog.open(tmp_path)
    assert log.bindings == [_binding(1), _binding(9, 5)]
    log.close()


def test_damage_names_file_and_offset_and_frees_the_folder(tmp_path: Path) -> None:
    log = RemapLog.open(tmp_path)
    log.append([_binding(1), _binding(2, 5)])
    log.close()
    path = tmp_path / "remap.log"
    good = path.read_bytes()
    bad = bytearray(good)
    bad[len(HEADER) + 20] ^= 1
    path.write_bytes(bad)
    with pytest.raises(RemapError, match=rf"remap.log is damaged at offset {len(HEADER)}: its checksum is wrong"):
        RemapLog.open(tmp_path)
    path.write_bytes(good)
    RemapLog.open(tmp_path).close()


def test_times_must_rise(tmp_path: Path) -> None:
    log = RemapLog.open(tmp_path)
    log.append([_binding(5)])
    with pytest.raises(RemapError, match="time 5 is not after 5"):
        log.append([_binding(5, 5)])
    log.close()


def test_second_process_is_refused(tmp_path: Path) -> None:
    log = RemapLog.open(tmp_path)
    script = f"from pathlib import Path; from ingest.remap import RemapLog; RemapLog.open(Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "is in use by process" in done.stderr
    log.close()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_full_disk_is_an_error_and_the_log_stays_whole(tmp_path: Path) -> None:
    # /dev/full refuses every write as a full disk does.
    log = RemapLog.open(tmp_path)
    log.append([_binding(1)])
    log._file.close()
    with Path("/dev/full").open("r+b", buffering=0) as full:
        log._file = full
        with pytest.raises(OSError, match="No space left"):
            log.append([_binding(2, 5)])
    with pytest.raises(RemapError, match="cannot be written since"):
        log.append([_binding(3, 5)])
    assert _written(tmp_path) == [_binding(1)]
    log.close()
    log = RemapLog.open(tmp_path)
    assert log.bindings == [_binding(1)]
    log.close()


def test_ranges_add_up_only_when_they_touch() -> None:
    first, second = Range(1, 0, 5, 4, 2**64 - 1), Range(1, 5, 9, 2, 3)
    assert first.extended(second) == Range(1, 0, 9, 6, 2)
    with pytest.raises(ValueError, match="does not follow"):
        second.extended(first)


def test_a_changed_range_says_how() -> None:
    before = {0: Range(0, 0, 9, 9, 7), 1: Range(1, 3, 5, 0, 0)}
    compare("t", before, {0: Range(0, 0, 9, 9, 7)})
    with pytest.raises(
        ReplayMismatch, match=r"t\[0\] from offset 0 to 9 has 8 records, and had 9 .* empty state folder"
    ):
        compare("t", before, {0: Range(0, 0, 9, 8, 7)})
    with pytest.raises(
        ReplayMismatch, match=r"t\[0\] from offset 0 to 9 has the same 9 records as before, but with other contents"
    ):
        compare("t", before, {0: Range(0, 0, 9, 9, 8)})


def test_a_folded_log_whose_name_is_not_durable_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant: what is appended is in the file that has the name; where that is not known, nothing is."""
    log = RemapLog.open(tmp_path)
    log.append([_binding(1), _binding(2)])

    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(remap, "sync_folder", refuse)
        with pytest.raises(OSError, match="Input/output"):
            log.rewrite([_binding(2)])
    with pytest.raises(RemapError, match="cannot be written since"):
        log.append([_binding(3)])
    log.close()
    log = RemapLog.open(tmp_path)
    assert log.bindings[-1].time == 2
    log.close()


def test_rewrite_keeps_the_time_and_goes_on(tmp_path: Path) -> None:
    log = RemapLog.open(tmp_path)
    log.append([_binding(time) for time in (1, 2, 3)])
    with pytest.raises(ValueError, match="must end at its last time 3"):
        log.rewrite([_binding(2)])
    log.rewrite([_binding(3)])
    assert log.nbytes == (tmp_path / "remap.log").stat().st_size
    log.append([_binding(4)])
    log.close()
    again = RemapLog.open(tmp_path)
    assert [found.time for found in again.bindings] == [3, 4]
    again.close()


def test_a_binding_of_before_reservations_is_read() -> None:
    """Invariant: a log that reserves nothing says that no time behind a binding was shown without one."""
    old = msgspec.msgpack.encode(msgspec.structs.astuple(_binding(7))[:5])
    binding = msgspec.msgpack.decode(old, type=Binding)
    assert (binding, binding.until) == (_binding(7), 7)
    assert msgspec.structs.replace(binding, reserved=3000).until == 3000
