#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Python over the C interface, by ctypes: a heap, memory in it, and its statistics as a dictionary.

    python3 heap_statistics.py [LIBRARY]        LIBRARY: libtslab.so.0 if not given

A program in Python that loads a library written in C or C++ reads the statistics of that library's heaps in the same way: it needs
their addresses, or, from another process, the command `tslab stats PID --json`."""
import ctypes
import json
import sys

# The declarations of <tslab/tslab.h> that are used here. A library with another ABI refuses to make a heap.
ABI, VERSION = 0, b"0.1.0"


class Failure(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 252)]


class Epoch(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint32), ("era", ctypes.c_uint64)]


def load(name="libtslab.so.0"):
    library = ctypes.CDLL(name)
    heap, pointer, size = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
    for function, result, arguments in (
            ("tslab_heap_create_abi", heap, [ctypes.c_uint, ctypes.c_char_p, pointer, size, ctypes.POINTER(Failure)]),
            ("tslab_heap_destroy", None, [heap]),
            ("tslab_epoch_current", Epoch, [heap]),
            ("tslab_epoch_set_label", ctypes.c_bool, [heap, Epoch, ctypes.c_char_p]),
            ("tslab_epoch_close", ctypes.c_bool, [heap, Epoch, pointer, size]),
            ("tslab_malloc", pointer, [heap, size]),
            ("tslab_free", None, [heap, pointer]),
            ("tslab_snapshot_take", pointer, [heap, ctypes.c_bool]),
            ("tslab_snapshot_json", size, [pointer, ctypes.c_char_p, size]),
            ("tslab_snapshot_free", None, [pointer])):
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


class Heap:
    """One heap. Ends with its `with` block."""

    def __init__(self, library):
        self.library, why = library, Failure()
        self.address = library.tslab_heap_create_abi(ABI, VERSION, None, 0, ctypes.byref(why))
        if not self.address:
            raise RuntimeError(why.text.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.tslab_heap_destroy(self.address)

    def statistics(self):
        """A snapshot, as docs/stats-reference.md describes it."""
        snapshot = self.library.tslab_snapshot_take(self.address, True)
        if not snapshot:
            raise MemoryError
        try:
            text = ctypes.create_string_buffer(self.library.tslab_snapshot_json(snapshot, None, 0) + 1)
            self.library.tslab_snapshot_json(snapshot, text, len(text))
            return json.loads(text.value)
        finally:
            self.library.tslab_snapshot_free(snapshot)


def main():
    library = load(*sys.argv[1:2])
    with Heap(library) as heap:
        phase = library.tslab_epoch_current(heap.address)
        library.tslab_epoch_set_label(heap.address, phase, b"rows")
        objects = [library.tslab_malloc(heap.address, 120) for _ in range(1000)]
        full = heap.statistics()
        for pointer in objects:
            library.tslab_free(heap.address, pointer)
        library.tslab_epoch_close(heap.address, phase, None, 0)
        empty = heap.statistics()
    label = next(epoch["label"] for epoch in full["epochs"] if epoch["live_objects"])
    print(f"{full['name']}: {full['live_objects']} objects of {full['live_bytes']} bytes, "
          f"in the phase {label!r}; after it {empty['live_objects']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
