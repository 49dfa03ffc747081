"""Every page's routes."""

from __future__ import annotations

from tuner.http.pages import champions, launch, studies, study, trial, workers

# For whoever has scope read; what a form changes asks for more.
FOR_READERS = (studies.router, study.router, trial.router, workers.router, champions.router, launch.router)
