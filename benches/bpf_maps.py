"""Entries of the BPF maps that a process has open, counted by the kernel's own batched look-up."""

import ctypes
import os
import platform

BPF_MAP_LOOKUP_BATCH = 24
BPF_MAP_GET_FD_BY_ID = 14
BPF_OBJ_GET_INFO_BY_FD = 15
CALL = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
# Hash tables, plain and LRU: all other kinds have a fixed number of entries, or cannot be counted.
HASHES = {1, 9}
LIBC = ctypes.CDLL(None, use_errno=True)


class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("type", "id", "key_size", "value_size", "max_entries", "flags")]
    _fields_ += [("name", ctypes.c_char * 16), ("rest", ctypes.c_char * 64)]


class LookAt(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("in_batch", "out_batch", "keys", "values")]
    _fields_ += [("count", ctypes.c_uint32), ("map_fd", ctypes.c_uint32), ("elem_flags", ctypes.c_uint64), ("flags", ctypes.c_uint64)]


class AskInfo(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64)]


class ById(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


def bpf(command, attributes):
    result = LIBC.syscall(CALL, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def ids_of(pid):
    """Of the maps that the process has open."""
    ids = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}") as file:
                ids |= {int(line.split()[1]) for line in file if line.startswith("map_id:")}
        except FileNotFoundError:
            pass
    return ids


def entries_of(pid):
    """{name: (entries, most)} of its hash tables."""
    found = {}
    for number in sorted(ids_of(pid)):
        descriptor = bpf(BPF_MAP_GET_FD_BY_ID, ById(number, 0, 0))
        try:
            info = Info()
            bpf(BPF_OBJ_GET_INFO_BY_FD, AskInfo(descriptor, ctypes.sizeof(info), ctypes.addressof(info)))
            if info.type in HASHES:
                found[info.name.decode()] = (entries(descriptor, info), info.max_entries)
        finally:
            os.close(descriptor)
    return found


def entries(descriptor, info):
    keys = ctypes.create_string_buffer(info.max_entries * info.key_size)
    values = ctypes.create_string_buffer(info.max_entries * ((info.value_size + 7) & ~7))
    place = ctypes.c_uint32()
    ask = LookAt(0, ctypes.addressof(place), ctypes.addressof(keys), ctypes.addressof(values), info.max_entries, descriptor, 0, 0)
    try:
        bpf(BPF_MAP_LOOKUP_BATCH, ask)
    except FileNotFoundError:
        # This is how the kernel says that there are no more.
        pass
    return ask.count
