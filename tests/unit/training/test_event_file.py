"""Event files hold what the record of a training holds, in TensorFlow's own form, and repeat byte for byte."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from posology.training import event_file

CURVES = {
    "train": [{"step": 1, "loss": 2.5, "learning_rate": 1e-4}, {"step": 300, "loss": 0.125, "grad_norm": 3.0}],
    "evaluations": [{"step": 0, "eval_loss": 2.75}],
}


def records(content: bytes) -> Iterator[bytes]:
    """Each record, once both of its checksums were found right."""
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = content[12 : 12 + length]
        assert content[8:12] == masked(content[:8])
        assert content[12 + length : 16 + length] == masked(event)
        yield event
        content = content[16 + length :]


def masked(content: bytes) -> bytes:
    """As TensorFlow's record_writer.h has it: rotated right by 15, plus a constant."""
    crc = event_file.crc32c(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def test_the_checksum_is_castagnolis() -> None:
    assert event_file.crc32c(b"123456789") == 0xE3069283
    assert event_file.crc32c(bytes(32)) == 0x8A9136AA
    assert event_file.crc32c(b"") == 0


def test_every_point_of_every_curve_is_an_event(tmp_path: Path) -> None:
    event_file.write(tmp_path, CURVES)
    first, *events = records((tmp_path / event_file.NAME).read_bytes())
    assert b"brain.Event:2" in first
    assert len(events) == 3
    assert b"train/loss" in events[0]
    assert struct.pack("<f", 2.5) in events[0]
    assert b"train/grad_norm" in events[1]
    assert events[1][9:12] == b"\x10\xac\x02"  # step 300 as a varint
    assert b"evaluations/eval_loss" in events[2]


def test_equal_curves_give_equal_bytes_and_odd_numbers_are_kept(tmp_path: Path) -> None:
    odd = {"train": [{"step": 2**40, "loss": math.inf}, {"step": 0, "loss": math.nan}]}
    event_file.write(tmp_path, odd)
    once = (tmp_path / event_file.NAME).read_bytes()
    event_file.write(tmp_path, odd)
    assert (tmp_path / event_file.NAME).read_bytes() == once
    assert len(list(records(once))) == 3
