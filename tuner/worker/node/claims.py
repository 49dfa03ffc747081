"""Which of a node's GPUs are taken: a lock for each, held as long as its worker lives, whoever started it.

The kernel releases a lock with its process, so that nothing is left to clean up after a worker that was killed. Locks
are shared where an engine has divided a GPU among workers.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pynvml

from tuner.errors import LaunchError
from tuner.spec.sections import Resources

# The same for every user and every job of a node, which $TMPDIR is not. So anybody may have made it, and what is in it:
# nothing there is followed, and nothing is written to but a plain file that has no other name.
FOLDER = Path("/tmp/keras-champion-gpus")
# Anybody may lock: the next worker may be another user's.
_FILE_MODE, _FOLDER_MODE = 0o666, 0o1777
_LONGEST_NAME = 200


class Claim:
    """GPUs of this node that are this worker's until ``release``, or until its process ends.

    Attributes:
        gpus: as CUDA names them.
    """

    def __init__(self, gpus: Sequence[str], locks: Sequence[IO[str]]) -> None:
        self.gpus = tuple(gpus)
        self._locks = list(locks)

    def release(self) -> None:
        """Lets other workers have them."""
        while self._locks:
            self._locks.pop().close()


def claim_gpus(
    resources: Resources,
    identities: Mapping[str, str],
    holder: str,
    *,
    exactly: int | None = None,
    share: bool = False,
    folder: Path = FOLDER,
) -> Claim:
    """Takes the GPUs that the slots need, or all that nobody has.

    Args:
        identities: of the GPUs that this process sees: their names, and what each is called on the whole node.
        holder: who has them, for others to read.
        exactly: how many, whatever the slots need.
        share: others may have them too, if they share them as well.

    Raises:
        LaunchError: fewer are free than are asked for, or none is; it says who has them.
    """
    asked = exactly if exactly is not None else _asked(resources)
    if not identities or asked == 0:
        return Claim((), ())
    wanted = min(len(identities), asked or len(identities))
    locks: dict[str, IO[str]] = {}
    taken: dict[str, str] = {}
    try:
        with _opened_folder(folder) as inside, _one_at_a_time(inside):
            for name, identity in identities.items():
                if len(locks) == wanted:
                    break
                lock = _opened(inside, f"{identity.replace(os.sep, '_')[:_LONGEST_NAME]}.lock")
                if _locked(lock, share):
                    locks[name] = lock
                    _write(lock, holder)
                else:
                    taken[name] = lock.read(_LONGEST_NAME).strip()
                    lock.close()
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
        raise LaunchError(
            f"GPUs cannot be claimed in {folder}, which all users of this machine share: {said}. Have it removed by "
            "its owner, or train without GPUs: resources.gpus_per_trial: 0"
        ) from None
    least = asked or _smallest(resources)
    if taken and len(locks) < least:
        Claim(tuple(locks), tuple(locks.values())).release()
        raise LaunchError(_refusal(least, len(identities), taken))
    if asked is None:
        # Less than one trial needs is of use to others only.
        for name in list(locks)[len(locks) - len(locks) % least :]:
            locks.pop(name).close()
    return Claim(tuple(locks), tuple(locks.values()))


def _asked(resources: Resources) -> int | None:
    """GPUs that the slots need; None for as many as there are."""
    if resources.gpus_per_trial == 0:
        return 0
    if resources.slots == "auto":
        return None
    return -(-resources.slots // resources.trials_per_gpu) * _smallest(resources)


def _smallest(resources: Resources) -> int:
    """GPUs that one trial needs."""
    return 1 if resources.gpus_per_trial == "auto" else resources.gpus_per_trial


def _refusal(asked: int, there: int, taken: Mapping[str, str]) -> str:
    holders = "; ".join(f"GPU {name} by {who or 'another worker'}" for name, who in taken.items())
    return (
        f"{asked} of this node's {there} GPUs are requested, but {there - len(taken)} are free: {holders}. Stop a "
        "worker, ask for fewer, or have trials share a GPU with resources.trials_per_gpu; gpus_per_trial: 0 trains "
        "without"
    )


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(_FOLDER_MODE)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _one_at_a_time(folder: int) -> Iterator[None]:
    # Two workers that each want two of two GPUs must not end up with one each.
    with _opened(folder, "claiming") as everything:
        fcntl.flock(everything, fcntl.LOCK_EX)
        yield


def _opened(folder: int, name: str) -> IO[str]:
    """A file of an open folder, made if need be. Raises OSError for anything that is no plain file of its own."""
    # A pipe would keep whoever opens it waiting.
    how = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    # Linux may refuse O_CREAT for another user's file in a folder that everybody may write to.
    try:
        descriptor = os.open(name, how, dir_fd=folder)
    except FileNotFoundError:
        descriptor = os.open(name, how | os.O_CREAT, _FILE_MODE, dir_fd=folder)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, "it is not a plain file with one name", name)
    if about.st_uid == os.geteuid():
        # What the umask took away.
        os.fchmod(descriptor, _FILE_MODE)
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def _locked(lock: IO[str], share: bool) -> bool:
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(lock: IO[str], holder: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(f"{holder}\n")
    lock.flush()


def identities_of(gpus: Sequence[str]) -> dict[str, str]:
    """What each GPU is called on the whole node: its UUID, however CUDA_VISIBLE_DEVICES names it."""
    known = _uuids()
    return {name: _identity(name, known) for name in gpus}


def _identity(name: str, known: Sequence[str]) -> str:
    if name.isdecimal() and int(name) < len(known):
        return known[int(name)]
    # CUDA takes the beginning of a UUID for the whole.
    return next((uuid for uuid in known if uuid.startswith(name)), name)


def _uuids() -> list[str]:
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
            return [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        finally:
            pynvml.nvmlShutdown()
    return []
