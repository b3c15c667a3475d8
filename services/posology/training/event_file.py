"""Loss curves as TensorBoard reads them: an event file, written from the record of a training.

The format is TensorFlow's: records of (length, checksum, bytes, checksum), each an `Event` message of protobuf. It is
written here because a file that repeats byte for byte for equal runs has no clock and no host in it: a point's wall
time is its step in seconds.
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

NAME = "events.out.tfevents.0.posology"
Curves = Mapping[str, Iterable[Mapping[str, float]]]

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected; RFC 3720, appendix B.4


def write(folder: Path, curves: Curves) -> None:
    """One event for each point of each curve: `train/loss`, `validation/eval_loss` and so on."""
    events = [_event(0.0, 0, _text(3, "brain.Event:2"))]
    for group, points in curves.items():
        for point in points:
            step = int(point["step"])
            values = {f"{group}/{name}": value for name, value in point.items() if name != "step"}
            events.append(_event(float(step), step, _message(5, b"".join(map(_value, values, values.values())))))
    (folder / NAME).write_bytes(b"".join(map(_record, events)))


# --- protobuf --------------------------------------------------------------------------------------------


def _event(wall_time: float, step: int, content: bytes) -> bytes:
    """Event: wall_time = 1 (double), step = 2 (varint), then file_version = 3 or summary = 5."""
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + content


def _value(tag: str, value: float) -> bytes:
    """Summary.value = 1: tag = 1, simple_value = 2 (float)."""
    return _message(1, _text(1, tag) + b"\x15" + struct.pack("<f", value))


def _message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# --- records ---------------------------------------------------------------------------------------------


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + _masked(length) + event + _masked(event)


def _masked(content: bytes) -> bytes:
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _rows() -> Iterable[int]:
    for value in range(256):
        row = value
        for _ in range(8):
            row = row >> 1 ^ (_POLYNOMIAL if row & 1 else 0)
        yield row


_TABLE = tuple(_rows())


def crc32c(content: bytes) -> int:
    """The checksum that TensorFlow's records carry; 0xE3069283 for b"123456789"."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
