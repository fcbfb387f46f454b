"""Why a file, folder or device cannot be used, and the remedy, in one line.

Tells apart owner, group and mode, SELinux, the service's sandbox, and a read-only or full file system. It opens what it
checks, and changes nothing.
"""

import errno
import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

_ENFORCING = Path("/sys/fs/selinux/enforce")


@dataclass(frozen=True, slots=True)
class AccessProblem:
    """What prevents access, and what to do about it."""

    message: str
    remedy: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.message}; {self.remedy}"


def device_problem(path: Path) -> AccessProblem | None:
    """Try to open a device for reading and writing, without blocking; None where that works or the device is busy."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return None if error.errno in (errno.EBUSY, errno.EAGAIN) else path_problem(path, error)
    return None


def folder_problem(path: Path) -> AccessProblem | None:
    """Return why a folder, or its nearest existing parent, cannot be written to; None where it can."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.access(folder, os.F_OK))
    try:
        descriptor = os.open(there, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):  # a file system without O_TMPFILE
            return None if os.access(there, os.W_OK | os.X_OK) else _forbidden(there, os.W_OK | os.X_OK)
        return path_problem(there, error)
    os.close(descriptor)
    return None


def path_problem(path: Path, error: OSError, wanted: int = os.R_OK | os.W_OK) -> AccessProblem:
    """Explain an OSError about `path`; `wanted` is the access asked for, as in os.access."""
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return AccessProblem(f"there is no {path}", "plug the device in, or name another one")
        case errno.EROFS:
            remedy = f"mount it writable, or add ReadWritePaths={path} to the service (systemctl edit edge-agent)"
            return AccessProblem(f"{path} is on a read-only file system", remedy)
        case errno.ENOSPC | errno.EDQUOT:
            return AccessProblem(f"the disk of {path} is full", f"free some space: `du -xh {path} | sort -h | tail`")
        case errno.EPERM if _is_device(path):
            remedy = f"add DeviceAllow={path} rw to the service (systemctl edit edge-agent)"
            return AccessProblem(f"the service's sandbox does not allow {path}", remedy)
        case errno.EACCES | errno.EPERM:
            return _forbidden(path, wanted)
        case _:
            return AccessProblem(
                f"{path} cannot be used: {error.strerror}", "see `journalctl -k` for the kernel's messages"
            )


def _forbidden(path: Path, wanted: int) -> AccessProblem:
    """Tell a wrong owner, group or mode from a denial by SELinux, which comes although the mode allows access."""
    who = _user()
    try:
        found = path.stat()
    except OSError:
        return AccessProblem(
            f"{who} may not look into {path.parent}", f"allow it: `namei -l {path}` shows which folder refuses"
        )
    if _mode_allows(found, wanted):
        how = "SELinux denies" if _enforcing() else "the system's security module denies"
        remedy = "see `ausearch -m avc -ts recent -c edge-agent`, and restore the labels: "
        return AccessProblem(f"{how} {who} {path}, though its mode allows it", f"{remedy}`restorecon -v {path}`")
    group = _group(found.st_gid)
    if _bits(found.st_mode >> 3, wanted) and found.st_gid != 0:
        remedy = f"add the user to the group {group}: `usermod -aG {group} {who}`, and start the service again"
        return AccessProblem(f"{who} is not in the group {group} that {path} belongs to", remedy)
    mode = stat.filemode(found.st_mode)
    return AccessProblem(f"{who} may not use {path} ({mode}, group {group})", f"let {who} or a group of it own {path}")


def _mode_allows(found: os.stat_result, wanted: int) -> bool:
    if os.geteuid() == 0:
        return True
    if found.st_uid == os.geteuid():
        return _bits(found.st_mode >> 6, wanted)
    if found.st_gid in {os.getegid(), *os.getgroups()}:
        return _bits(found.st_mode >> 3, wanted)
    return _bits(found.st_mode, wanted)


def _bits(mode: int, wanted: int) -> bool:
    return mode & wanted == wanted


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _enforcing() -> bool:
    try:
        return _ENFORCING.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
