"""One export in a process that the service can end: the order on standard input, what came of it on standard output.

``python -m tuner.http.export_process``

It is no ``ChildProcess``: the service awaits it in its event loop and in a session of its own, keeps its last words for
the service's log rather than in a file, and ends it by a SIGTERM that unwinds the export, so that nothing of it stays.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

from storage.errors import StorageError
from tuner import api
from tuner.champion.export.export_view import ExportEnd, ExportFault
from tuner.champion.export.options import ExportOptions
from tuner.champion.records.request import ExportReport
from tuner.errors import TunerError
from tuner.http.error_responses import fault_of
from tuner.json_codec import as_json, from_json
from tuner.processes.parents import watch_parent
from tuner.processes.termination import interrupted_by_sigterm


@dataclass(frozen=True)
class Order:
    """What is to be exported; ``storage`` is the database's URL, which no list of processes shows in this way."""

    storage: str = field(repr=False)
    study: str
    options: ExportOptions


def exported(order: Order) -> ExportEnd:
    """Exports and registers; the files go to the study's artifacts alone."""
    try:
        report = api.export_champion(order.study, None, order.options, storage=order.storage)
    except (TunerError, StorageError) as error:
        fault = fault_of(error)
        return ExportEnd(fault=ExportFault(fault.code, fault.message, fault.details))
    return _end_of(report)


def _end_of(report: ExportReport) -> ExportEnd:
    refused = {each.name: each.refused for each in report.champion.formats if each.refused}
    return ExportEnd(report.version, report.violated, report.unassessed, refused)


def main() -> None:
    # A service that is killed, or does not end in time, can end no export.
    watch_parent()
    # What libraries print goes to the log: standard output is for the end alone.
    told = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    order: Order = from_json(Order, sys.stdin.buffer.read())
    with interrupted_by_sigterm():
        end = exported(order)
    with os.fdopen(told, "wb") as file:
        file.write(as_json(ExportEnd, end))


if __name__ == "__main__":
    main()
