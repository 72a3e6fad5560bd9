"""Becomes another program that dies with its parent and, when root starts it, runs as another user.

    python -I -S become.py PARENT SIGNAL UID PROGRAM ARGUMENT...

Run by its path, standard library only. The kernel sends SIGNAL to the program when PARENT has ended, however it ended.

PostgreSQL refuses to run as root. Another user would not reach a data folder or an installation below a folder of
root's such as /root, so that user keeps one capability, CAP_DAC_OVERRIDE: files answer it as they answer root. This
opens no door to others: the server's folder and its socket's folder belong to root and are closed to everybody else.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT = 1, 28, 47
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1


def main(parent: int, death_signal: int, uid: int, command: list[str]) -> None:
    os.umask(0o077)
    if uid != os.geteuid():
        try:
            leave_root(uid)
        except OSError as error:
            sys.exit(f"cannot go from root to uid {uid} keeping CAP_DAC_OVERRIDE ({error}): run it as an ordinary user")
    if sys.platform == "linux":
        # After the change of user, which forgets this signal. The next line sees a parent that ended before this one.
        call("prctl", PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() == parent:
        os.execv(command[0], command)


def leave_root(uid: int) -> None:
    # Keeps the capabilities through the change of user, also for access(), by which PostgreSQL looks for its files.
    call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kept = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    call("capset", header, effective_permitted_inheritable)
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if function(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
