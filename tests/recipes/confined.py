"""Runs a program with the system calls that a unit of systemd allows, and no others.

    python -m tests.recipes.confined CALLS PROGRAM [ARGUMENTS]

``CALLS``: a file with the names of system calls, one a line. Others fail with EPERM, as do memory
that can be written and run (MemoryDenyWriteExecute) and sockets of other families than UNIX and IP.
It is libseccomp that systemd calls, too.
"""

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Sequence
from mmap import PROT_EXEC, PROT_WRITE
from pathlib import Path

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_EQUAL_UNDER_MASK = 7


class _Condition(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


_BOTH, _ALL = PROT_WRITE | PROT_EXEC, 0xFFFFFFFF
_CONDITIONS = {
    "mmap": [_Condition(2, _EQUAL_UNDER_MASK, _BOTH, each) for each in (0, PROT_WRITE, PROT_EXEC)],
    "mprotect": [_Condition(2, _EQUAL_UNDER_MASK, PROT_EXEC, 0)],
    "pkey_mprotect": [_Condition(2, _EQUAL_UNDER_MASK, PROT_EXEC, 0)],
    "socket": [
        _Condition(0, _EQUAL_UNDER_MASK, _ALL, each)
        for each in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    ],
}
"""What of these calls is allowed: argument and value, one of them."""


def confine(calls: Sequence[str]) -> None:
    """Allow only these system calls to this process, for good; OSError when that fails."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_REFUSE))

    def allow(name: str, *conditions: _Condition) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # of another architecture
        several = (_Condition * len(conditions))(*conditions)
        failed = library.seccomp_rule_add_array(context, _ALLOW, number, len(several), several)
        if failed:
            raise OSError(-failed, f"no rule for {name}")

    for name in calls:
        for condition in _CONDITIONS.get(name, [None]):
            allow(name, *([] if condition is None else [condition]))
    failed = library.seccomp_load(context)
    if failed:
        raise OSError(-failed, "the filter cannot be loaded")


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text().split())
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the program that is told
