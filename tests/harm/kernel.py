"""What is in the kernel and in the memory of programs, seen without anybody's tools."""

import contextlib
import ctypes
import hashlib
import os
import platform
import re

LIBC = ctypes.CDLL(None, use_errno=True)
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
# Commands of bpf(2) that go over all there are.
NEXT_ID = {"prog": 11, "link": 31}


class NextId(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


def ids_in_kernel():
    """All programs and links, whoever holds them."""
    found = set()
    for kind, command in NEXT_ID.items():
        place = NextId()
        while LIBC.syscall(BPF_SYSCALL, command, ctypes.byref(place), ctypes.sizeof(place)) == 0:
            found.add((kind, place.next))
            place.start = place.next
    return found


def held_by(pid):
    """What the kernel says of each descriptor of this process."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{descriptor}") as info:
                yield info.read()


def ids_held_by(pid):
    """Programs and links that this process has open."""
    pattern = re.compile(r"^(prog|link)_id:\s+(\d+)", re.M)
    return {(kind, int(number)) for said in held_by(pid) for kind, number in pattern.findall(said)}


def has_probes(pid):
    """Whether it has breakpoints in others: links of one or of many probes."""
    return any(re.search(r"^link_type:\s+(u(ret)?probe_multi|perf)", said, re.M) for said in held_by(pid))


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def orphans(before):
    """What is there now, was not before, and no living process holds: left behind."""
    # Looked at first: what comes in between belongs to somebody who is looked at next.
    new = ids_in_kernel() - before
    held = set().union(*(ids_held_by(pid) for pid in pids())) if new else set()
    return (new - held) & ids_in_kernel()


def code_of(pid):
    """Of each executable mapping of a file a hash of what stands in memory, and whether the file says the same: a breakpoint
    would show."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps.read().splitlines():
            fields = line.split(maxsplit=5)
            if fields[1][2] != "x" or len(fields) < 6 or not fields[5].startswith("/"):
                continue
            begin, end = (int(address, 16) for address in fields[0].split("-"))
            memory.seek(begin)
            code = memory.read(end - begin)
            with open(f"/proc/{pid}/map_files/{begin:x}-{end:x}", "rb", buffering=0) as file:
                file.seek(int(fields[2], 16))
                said = file.read(end - begin)
            # The last page is longer than the file.
            found[fields[0], fields[5]] = (hashlib.sha256(code).hexdigest(), code[: len(said)] == said)
    return found


def has_breakpoints(code):
    return not all(same for _, same in code.values())
