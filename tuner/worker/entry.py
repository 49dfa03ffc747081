"""A worker's process from its environment to its exit code."""

from __future__ import annotations

import logging
import os
import sys
import threading

from storage.connecting import connect
from storage.errors import StorageError
from tuner.errors import TunerError
from tuner.worker.log_file import LOG_FORMAT
from tuner.worker.patience import Patience
from tuner.worker.settings import ERROR_PREFIX, LEFT_LINE, SETTINGS_VARIABLE, STORAGE_VARIABLE, WorkerSettings
from tuner.worker.standing_by import stand_by
from tuner.worker.supervisor import Supervisor
from tuner.worker.trial_process import start_forkserver


def main() -> int:
    """0 when the worker left in order, 1 when it could not work; its last line then says why."""
    # What a full disk has no room for is lost, without a traceback for each line.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stdout)
    settings = WorkerSettings.model_validate_json(os.environ[SETTINGS_VARIABLE])
    if settings.forkserver_log is not None:
        start_forkserver(settings.forkserver_log)
    if settings.follow_stdin and not stand_by(settings.preflight_messages):
        return 0
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
