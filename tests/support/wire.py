# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the wire format of protocol buffers, from its documentation: https://protobuf.dev/programming-guides/encoding/."""
import struct


def fields(message):
    """(number, value) of each field: an int, a float, or bytes."""
    at = 0

    def varint():
        nonlocal at
        shift = value = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def taken(size):
        nonlocal at
        if at + size > len(message):
            raise ValueError("a field ends behind its message")
        at += size
        return message[at - size:at]

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 1:
            yield key >> 3, struct.unpack("<d", taken(8))[0]
        elif key & 7 == 2:
            yield key >> 3, taken(varint())
        else:
            raise ValueError(f"wire type {key & 7}")


def all_of(message, number):
    return [value for field, value in fields(message) if field == number]


def one_of(message, number, default=0):
    values = all_of(message, number)
    assert len(values) <= 1, (number, values)
    return values[0] if values else default


def delimited(stream):
    """The messages of a stream, each of which is behind its length."""
    at = 0
    while at < len(stream):
        begin = at
        while stream[at] >= 0x80:
            at += 1
        at += 1
        size = next(varints(stream[begin:at]))
        if at + size > len(stream):
            raise ValueError("a message ends behind its stream")
        yield stream[at:at + size]
        at += size


def varints(value):
    """The numbers of a packed field."""
    at = shift = number = 0
    while at < len(value):
        number |= (value[at] & 0x7F) << shift
        shift += 7
        if value[at] < 0x80:
            yield number
            shift = number = 0
        at += 1
    assert shift == 0, "a number is cut short"


def packed(value):
    """Those of type int64."""
    return [number - (1 << 64) if number >= 1 << 63 else number for number in varints(value)]


def zigzag(number):
    """A number of type sint32 or sint64."""
    return (number >> 1) ^ -(number & 1)
