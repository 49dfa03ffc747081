"""The Python API, on which the command line is a thin layer.

Every function takes ``storage``, a database URL. If it is omitted, $TUNER_STORAGE is used, then ``tuner.db`` in the
working directory. Errors are ``tuner.errors.TunerError`` and ``storage.errors.StorageError``.

What is here is defined below, by its subject. Plotly takes half a second to import, so reports and exports are
imported when they are asked for.
"""

from __future__ import annotations

from tuner.champion.export.export_champion import export_champion
from tuner.champion.export.options import ExportOptions
from tuner.champion.prediction.predict import predict
from tuner.champion.registry.registered import (
    RegisteredChampion,
    add_export,
    alias_history,
    champion_page,
    fetch_champion,
    list_champions,
    promote,
    register_in_mlflow,
)
from tuner.launch.changes import delete_study, resume, stop, upgrade_storage
from tuner.launch.enqueueing import enqueue, enqueue_all, search_space
from tuner.launch.joining import work, work_any
from tuner.launch.launches import LaunchView
from tuner.launch.launching import create_study, launch, open_study, scale
from tuner.launch.opening import Event
from tuner.launch.presets import Enqueued
from tuner.launch.questions import list_launches, worker_log
from tuner.queries import (
    TRIAL_STATES,
    LiveWorker,
    SplitRecord,
    WorkerView,
    best_trials,
    lease_page,
    list_pools,
    list_studies,
    list_trials,
    list_workers,
    show_trial,
    split_records,
    stored_spec,
    study_page,
    study_status,
    trial_log,
    trial_page,
    worker_page,
)
from tuner.queries.charts import curves_chart, history_chart, importances_chart, parameters_chart
from tuner.queries.feed import watch
from tuner.report.writing import write_report
from tuner.spec.templates import write_template
from tuner.study.open_study import study_spec

__all__ = [
    "TRIAL_STATES",
    "Enqueued",
    "Event",
    "ExportOptions",
    "LaunchView",
    "LiveWorker",
    "RegisteredChampion",
    "SplitRecord",
    "WorkerView",
    "add_export",
    "alias_history",
    "best_trials",
    "champion_page",
    "create_study",
    "curves_chart",
    "delete_study",
    "enqueue",
    "enqueue_all",
    "export_champion",
    "fetch_champion",
    "history_chart",
    "importances_chart",
    "launch",
    "lease_page",
    "list_champions",
    "list_launches",
    "list_pools",
    "list_studies",
    "list_trials",
    "list_workers",
    "open_study",
    "parameters_chart",
    "predict",
    "promote",
    "register_in_mlflow",
    "resume",
    "scale",
    "search_space",
    "show_trial",
    "split_records",
    "stop",
    "stored_spec",
    "study_page",
    "study_spec",
    "study_status",
    "trial_log",
    "trial_page",
    "upgrade_storage",
    "watch",
    "work",
    "work_any",
    "worker_log",
    "worker_page",
    "write_report",
    "write_template",
]
