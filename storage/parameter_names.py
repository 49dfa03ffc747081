"""The names that hyperparameters have in Optuna's tables, and what people are shown of them.

``name`` is a hyperparameter as the search space has it. ``name[scope]`` is told apart from others of its name by the
conditions under which it is active, or by the values that it takes. ``name@rank`` and ``name@mirror`` are what samplers
see in its place. A space's own name that looks like one of these is ``name[]``.
"""

from __future__ import annotations

import hashlib
import re

# What follows the names of parameters that only the sampler sees.
SAMPLERS_VIEW = ("@rank", "@mirror")
# Optuna's tables hold 512 characters, of which a suffix for the sampler's view takes a few.
_LONGEST_NAME = 480
_SCOPE = re.compile(r"\[[^\[\]]*\]$")


def has_suffix(name: str) -> bool:
    """Whether the end of a name would be taken for a scope or a sampler's view."""
    return name.endswith(SAMPLERS_VIEW) or _SCOPE.search(name) is not None


def without_scope(name: str) -> str:
    """The search space's own name."""
    return _SCOPE.sub("", name)


def scope_of(name: str) -> str:
    """What stands in the brackets at the end; empty if there are none."""
    found = _SCOPE.search(name)
    return found[0][1:-1] if found else ""


def scoped(name: str, scope: str) -> str:
    """A name in Optuna that is told apart by its scope, of which a long one, or one with brackets, is a digest."""
    if len(name) + len(scope) > _LONGEST_NAME or "[" in scope or "]" in scope:
        scope = "#" + hashlib.sha256(scope.encode()).hexdigest()[:16]
    return f"{name}[{scope}]"
