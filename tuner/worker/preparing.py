"""Brings the study's data onto this node."""

from __future__ import annotations

import logging
from multiprocessing.connection import wait
from pathlib import Path

from storage.files import is_of_file_system
from storage.held_folders import no_scratch
from tuner.data.cache_contents import keep_open
from tuner.errors import DataError
from tuner.spec.search_spec import SearchSpec
from tuner.trial.messages import FROM_PREPARATION, Prepared, StudyRefused
from tuner.trial.preflight import prepare_main
from tuner.worker.leaving import Leaving
from tuner.worker.trial_process import IsolatedProcess

_log = logging.getLogger(__name__)


def prepare_on_node(spec: SearchSpec, cache: Path, log: Path, leaving: Leaving) -> Prepared | None:
    """Where the decoded data is on this node, and what it is; None if the worker was told to leave meanwhile.

    Raises:
        DataError: the data cannot be read here.
    """
    process = _begun(spec.model_dump_json(), str(cache), str(log))
    try:
        while True:
            for ready in wait([process.connection, *leaving.sources]):
                if ready in leaving.sources:
                    leaving.hear(ready)
            if leaving.requested.is_set() or leaving.draining.is_set():
                process.kill()
                return None
            if not process.connection.poll():
                continue
            message = FROM_PREPARATION.validate_json(process.connection.recv_bytes())
            if isinstance(message, StudyRefused):
                raise DataError(message.message, message.files, message.key)
            if isinstance(message, Prepared):
                # Between two trials nobody else has it open.
                keep_open(Path(message.folder))
                break
    except EOFError:
        raise DataError(f"the process that prepares the data died; see {log}") from None
    finally:
        process.end(grace_seconds=5.0)
    _log.info("the data is ready in %s", message.folder)
    return message


def _begun(*orders: str) -> IsolatedProcess:
    try:
        return IsolatedProcess(prepare_main, *orders)
    except OSError as error:
        if not is_of_file_system(error):
            raise
        raise DataError(f"the data cannot be prepared: {no_scratch(error)}") from error
