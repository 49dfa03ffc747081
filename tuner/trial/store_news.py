"""Says once that the study's artifacts cannot be written, and once that they can again."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import ArtifactsUnavailable
from tuner.trial.messages import StoreState


class StoreNews:
    """What an attempt knows of the place of the artifacts.

    Args:
        tell: sends the worker a message; it begins no trial while one of its own finds the store away.
    """

    def __init__(self, tell: Callable[[StoreState], None]) -> None:
        self._tell = tell
        self._is_away = False

    def away(self, error: ArtifactsUnavailable, meanwhile: str) -> None:
        """Args: what the attempt does until the store is back."""
        if not self._is_away:
            self._is_away = True
            print(f"{error}; {meanwhile}", flush=True)
            self._tell(StoreState(away=str(error)))

    def there(self) -> None:
        if self._is_away:
            self._is_away = False
            print("the artifacts can be written again", flush=True)
            self._tell(StoreState())
