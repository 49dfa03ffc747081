"""Workers that are told to leave before they have begun."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from filelock import FileLock

from storage import leases
from tuner.data.cache import prepare
from tuner.worker.leaving import Leaving


def _forked(worker):
    """What the worker's forkserver has forked."""
    children = psutil.Process(worker.pid).children(recursive=True)
    forkservers = {child.pid for child in children if child.ppid() == worker.pid}
    return [child for child in children if child.ppid() in forkservers]


def test_signals_while_the_main_thread_has_the_lock_of_their_event():
    with Leaving(follow_stdin=False) as leaving:
        # As in the middle of waiting for the event, or of setting it; Slurm sends two at once.
        with leaving.requested._cond:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        assert leaving.requested.wait(30)


@pytest.mark.parametrize("tell", [os.kill, os.killpg])
def test_sigterm_while_the_data_is_prepared(tell, create_study, start_worker, make_spec, cache, database, eventually):
    spec = make_spec("Fast")
    record = create_study(spec)
    folder = prepare(spec.data, cache).folder
    # As if another worker of this node were decoding a large data set.
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        worker = start_worker(spec)
        (preparation,) = eventually(lambda: _forked(worker))
        # Slurm tells every process of a job.
        tell(worker.pid, signal.SIGTERM)
        assert worker.wait(30)
        worker.raise_if_failed()
        psutil.wait_procs([preparation], timeout=30)
        assert not preparation.is_running()
    assert leases.counts(database, record.study_id).open == record.budget
