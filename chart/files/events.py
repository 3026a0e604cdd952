"""Event files of TensorBoard.

A file is TFRecords: length (8 bytes), its checksum (4), data, its checksum (4). The data is a protocol buffer, Event:
2 step, 5 summary {1 value {1 tag, 2 simple_value, 8 tensor {1 dtype, 2 shape {2 dim {1 size}}, 4 content, 5 values}}}
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

from rows import LARGEST_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO

    from rows import Number


LARGEST_EVENT = 1 << 20  # of TensorBoard: what is longer holds no number but a picture or a text, and is skipped
KINDS = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}  # dtype -> how its content is packed


def points(files: Iterable[str], open_file: Callable[[str], BinaryIO]) -> Iterator[tuple[str, Number, Number]]:
    """(name, step, value) of all that is in files. A tag is a metric's name; with its folder before it where there are
    several, as TensorBoard names runs."""
    folders = {path: path.rpartition("/")[0] for path in files}
    above = os.path.commonpath(folders.values()) if all(folders.values()) else ""
    for path, folder in folders.items():
        run = os.path.relpath(folder or ".", above or ".")
        with suppress(OSError), open_file(path) as opened:
            for tag, step, value in points_of_events(opened):
                yield tag if run == "." else f"{run}/{tag}", step, value


def _checksums() -> list[int]:
    """CRC-32C of every byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CHECKSUMS = _checksums()


def checksum(data: bytes) -> int:
    """CRC-32C, masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CHECKSUMS[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(opened: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(data, its checksum as the file has it) of every whole record; a damaged length ends the file."""
    while True:
        head = opened.read(12)
        if len(head) < 12 or checksum(head[:8]) != struct.unpack("<I", head[8:])[0]:
            return
        (length,) = struct.unpack("<Q", head[:8])
        if length > LARGEST_FILE:
            return
        if length > LARGEST_EVENT:
            opened.seek(length + 4, os.SEEK_CUR)
            continue
        data, tail = opened.read(length), opened.read(4)
        if len(data) < length or len(tail) < 4:
            return
        yield data, struct.unpack("<I", tail)[0]


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a protocol buffer: an int, or bytes. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            whole, at = varint(data, at)
            yield key >> 3, whole
            continue
        if kind == 2:
            size, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield key >> 3, data[at : at + size]
        at += size


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def single(data: bytes) -> float:
    """A float of 32 bits, by the shortest number that it stands for: 0.9, not 0.8999999761581421."""
    value: float = struct.unpack("<f", data)[0]
    shorter = (float(f"{value:.{digits}g}") for digits in (6, 7, 8))
    return next((rounded for rounded in shorter if abs(rounded) < 3e38 and struct.pack("<f", rounded) == data), value)


def scalar(tensor: bytes) -> Number | None:
    """The number in a tensor of one. Raises ValueError, IndexError, TypeError, struct.error."""
    kind = 0
    values: list[Number] = []
    for field, value in fields(tensor):
        if field == 1:
            kind = value
        elif field == 2 and any(dict(fields(dim)).get(1) != 1 for name, dim in fields(value) if name == 2):
            return None
        else:
            values += numbers(field, value, kind)
    return values[0] if len(values) == 1 else None


def numbers(field: int, value: Any, kind: int) -> list[Number]:
    """The first number in a field of a tensor of this kind, none in one that holds no values."""
    if field == 4 and kind in KINDS:
        return [single(value) if kind == 1 else struct.unpack(KINDS[kind], value)[0]]
    if field == 5:
        return [single(value)]
    if field == 6:
        return [struct.unpack("<d", value)[0]]
    if field in (7, 10):
        return [signed(first_of(value))]
    if field == 13 and kind == 19:  # half floats are integers there
        return [struct.unpack("<e", struct.pack("<H", first_of(value)))[0]]
    return []


def first_of(value: Any) -> int:
    """An integer as it stands, or the first of several that are packed."""
    return value if isinstance(value, int) else varint(value, 0)[0]


def scalars(event: bytes) -> Iterator[tuple[str, Number, Number]]:
    """(tag, step, value) of every number in an event. Raises as scalar() does."""
    whole = list(fields(event))
    step = signed(next((value for field, value in whole if field == 2), 0))
    for _, summary in (pair for pair in whole if pair[0] == 5):
        for _, entry in (pair for pair in fields(summary) if pair[0] == 1):
            value = dict(fields(entry))
            scalar_value = single(value[2]) if 2 in value else scalar(value[8]) if 8 in value else None
            if scalar_value is not None:
                yield value[1].decode(errors="replace"), step, scalar_value


def points_of_events(opened: BinaryIO) -> Iterator[tuple[str, Number, Number]]:
    for data, crc in records(opened):
        with suppress(ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error):
            values = list(scalars(data))
            if values and checksum(data) == crc:
                yield from values
