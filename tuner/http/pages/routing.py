"""Every page's routes."""

from __future__ import annotations

from tuner.http.pages import champions, export, launch, studies, study, trial, workers

# For whoever has scope read; what a form changes asks for more.
FOR_READERS = tuple(each.router for each in (studies, study, export, trial, workers, champions, launch))
