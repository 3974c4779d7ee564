"""Runs a command for which bpf(2) fails: deny.py ERRNO COMMAND PROGRAM [ARGUMENT...]

COMMAND is the number of the one bpf command that fails, or -1 for all: a kernel without a feature, as far as
the program can tell.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER, FIRST_ARGUMENT = 0, 16

bpf = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
errno, command = int(sys.argv[1]), int(sys.argv[2])
refuse, allow = (RETURN, 0, 0, ERRNO | errno), (RETURN, 0, 0, ALLOW)
if command < 0:
    steps = [(LOAD, 0, 0, NUMBER), (EQUAL, 0, 1, bpf), refuse, allow]
else:
    steps = [(LOAD, 0, 0, NUMBER), (EQUAL, 0, 3, bpf), (LOAD, 0, 0, FIRST_ARGUMENT), (EQUAL, 0, 1, command)]
    steps += [refuse, allow]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
    sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[3], sys.argv[3:])
