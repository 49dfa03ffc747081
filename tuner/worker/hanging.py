"""Ends trials that hang: halted, waiting for ever, or at a GPU that is gone. They hold their slot otherwise."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from storage.progress import NOTE_ATTRIBUTE
from tuner.trial.messages import Finished
from tuner.trial.outcome import Outcome
from tuner.worker.patience import Patience
from tuner.worker.running import RunningTrial
from tuner.worker.search.optuna_trials import LiveTrial

_log = logging.getLogger(__name__)
# Of the time after which a trial counts as stuck, so much passes before `tuner status` speaks of it.
_SAID_SHARE = 0.2
# How a note begins that speaks of an attempt under way.
_SILENT = "no "


class HangWatch:
    """Looks whether trials still do something.

    Args:
        timeout: the spec's; None to let trials hang while the study runs.
        grace: in place of it when trials shall leave after their epoch, which one that hangs never ends.
    """

    def __init__(self, timeout: float | None, grace: float, patiently: Patience) -> None:
        self._timeout = timeout
        self._grace = grace
        self._patiently = patiently

    def look(self, running: RunningTrial, *, is_stopping: bool, waits_for_store: bool) -> Finished | None:
        """The end of an attempt that hangs; None for one that does not. Also says in the database what is seen.

        Raises LeaseLost.
        """
        if waits_for_store:
            running.signs.note()
            if is_stopping:
                # It may have ended its last epoch, and no verdict tells it.
                running.ask_to_leave()
        patience = self._grace if is_stopping else self._timeout
        if patience is None:
            return None
        signs = running.signs
        if signs.are_missing(patience):
            reason = f"it hung: no {signs.what_is_missing()} for {signs.silent_seconds:.0f} s"
            running.stop_sent |= is_stopping
            self._note(running, f"attempt {running.assignment.attempt}: {reason}")
            _log.warning("trial %d: %s; its process is ended", running.number, reason)
            return Finished(outcome=Outcome.INTERRUPTED, cause="it hung", reason=reason)
        if signs.silent_seconds > _SAID_SHARE * signs.allowed(patience):
            if not running.is_noted_silent:
                since = datetime.now(UTC) - timedelta(seconds=signs.silent_seconds)
                self._note(running, f"{_SILENT}{signs.what_is_missing()} since {since:%H:%M:%S} UTC")
                running.is_noted_silent = True
        elif running.is_noted_silent:
            self._note(running, None)
            running.is_noted_silent = False
        return None

    def _note(self, running: RunningTrial, text: str | None) -> None:
        self._patiently(running.live.remember, NOTE_ATTRIBUTE, text)


def forget_silence(live: LiveTrial) -> None:
    """Removes what was said of an attempt that has gone since; that one hung and was ended stays. Raises LeaseLost."""
    if str(live.recall(NOTE_ATTRIBUTE)).startswith(_SILENT):
        live.remember(NOTE_ATTRIBUTE, None)
