"""A worker's process from its environment to its exit code."""

from __future__ import annotations

import logging
import os
import sys
import threading
from multiprocessing import util

from storage.connecting import connect
from storage.errors import StorageError
from storage.held_folders import HeldFolder, no_scratch, scratch_folder
from tuner.errors import TunerError
from tuner.processes.parents import end_with_parent, outlive_parent
from tuner.trial.process import use_scratch
from tuner.worker.log_file import LOG_FORMAT
from tuner.worker.patience import Patience
from tuner.worker.settings import ERROR_PREFIX, LEFT_LINE, SETTINGS_VARIABLE, STORAGE_VARIABLE, WorkerSettings
from tuner.worker.standing_by import stand_by
from tuner.worker.supervisor import Supervisor
from tuner.worker.trial_process import start_forkserver

# multiprocessing's sockets, whose paths have 107 bytes at most, are in a folder in there.
_LONGEST_SCRATCH = 64


def main() -> int:
    """0 when the worker left in order, 1 when it could not work; its last line then says why."""
    # What a full disk has no room for is lost, without a traceback for each line.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stdout)
    try:
        scratch = _own_scratch()
    except OSError as error:
        print(f"{ERROR_PREFIX}{no_scratch(error)}", flush=True)
        return 1
    settings = WorkerSettings.model_validate_json(os.environ[SETTINGS_VARIABLE])
    if settings.follow_stdin:
        # Until it begins it has nothing to bring to an end.
        end_with_parent()
    if settings.forkserver_log is not None:
        start_forkserver(settings.forkserver_log)
    if settings.follow_stdin and not stand_by(settings.preflight_messages):
        # Its forkserver may be in the middle of its imports; the kernel ends it with this process.
        scratch.cleanup()
        os._exit(0)
    outlive_parent()
    try:
        # Whoever starts a worker has reached the database just now, so that it is not there can only be an outage.
        patiently = Patience(threading.Event(), "this worker waits for it")
        Supervisor(settings, patiently(connect, os.environ[STORAGE_VARIABLE])).run()
    except (TunerError, StorageError) as error:
        logging.getLogger(__name__).debug("", exc_info=True)
        print(f"{ERROR_PREFIX}{error}", flush=True)
        return 1
    print(LEFT_LINE, flush=True)
    return 0


def _own_scratch() -> HeldFolder:
    """One folder for all that this process and its children leave, which is swept as a whole if they are killed."""
    scratch = scratch_folder()
    if len(scratch.name) <= _LONGEST_SCRATCH:
        use_scratch(scratch.name)
    # multiprocessing has a folder in there, which it removes at a priority of -100.
    scratch.outlive_exit()
    util.Finalize(scratch, scratch.cleanup, exitpriority=-200)
    return scratch
