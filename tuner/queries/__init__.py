"""Questions about studies, answered from the database alone.

Apart from ``tuner.api``, which has them too, so that asking imports nothing that launching needs: `tuner best` answers
in well under a second.
"""

from tuner.queries.paging import USUAL_PAGE
from tuner.queries.studies import (
    SplitRecord,
    lease_page,
    list_studies,
    split_records,
    stored_spec,
    study_page,
    study_status,
)
from tuner.queries.trials import TRIAL_STATES, best_trials, list_trials, show_trial, trial_log, trial_page
from tuner.queries.workers import (
    LiveWorker,
    WorkerView,
    list_pools,
    list_workers,
    worker_page,
)

__all__ = [
    "TRIAL_STATES",
    "USUAL_PAGE",
    "LiveWorker",
    "SplitRecord",
    "WorkerView",
    "best_trials",
    "lease_page",
    "list_pools",
    "list_studies",
    "list_trials",
    "list_workers",
    "show_trial",
    "split_records",
    "stored_spec",
    "study_page",
    "study_status",
    "trial_log",
    "trial_page",
    "worker_page",
]
