"""What a spec's keys mean, from the one place that says it to people: the comments of `tuner init`'s templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from tuner.spec.choices import SPACES

# `key: value   # comment`, also where the key itself is commented out.
_LINE = re.compile(r"^(?P<indent> *)(?:# )?(?P<key>\w+):(?P<value>[^#]*)(?:#\s*(?P<comment>.*))?$")
_MORE = re.compile(r"^\s{20,}#\s*(?P<comment>.*)$")
# What they say of a file, or of the command line.
_OTHERWISE = {
    "study": "the study's name, which is new",
    "data.path": "a file or folder, which is divided into splits; or instead of it train",
    "data.train": "where the splits are already; validation and test are optional",
    "data.validation": "",
    "data.test": "",
    "data.text_column": "for texts instead of tables: the column that holds them",
    "space": "what is tuned; options go into the YAML below: space: {families: [mlp]}",
    "objective": "the metric that decides, such as val_accuracy or val_loss; several, with a comma between them; "
    "one of your own with its direction: {metric: val_dice, direction: maximize}",
    "constraints": "what the best trial must keep, one a line: parameters <= 1e6",
    "sampler": "options go into the YAML below: sampler: {n_startup_trials: 20}",
    "pruner": "",
    "warm_start": "a study in the same database whose best trials are tried first",
}


@cache
def help_of(template: str) -> Mapping[str, str]:
    """By dotted key, the comment of a template; what others say of keys that it leaves out."""
    found: dict[str, str] = {}
    for name in (template, *SPACES):
        for key, comment in _comments(name).items():
            found.setdefault(key, comment)
    return found | _OTHERWISE


@cache
def _comments(template: str) -> Mapping[str, str]:
    text = resources.files("tuner").joinpath("templates", f"{template}.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    last = None
    for line in text.splitlines():
        if (more := _MORE.match(line)) and last is not None:
            found[last] += f" {more['comment']}"
        elif match := _LINE.match(line):
            path = [each for each in path if each[0] < len(match["indent"])] + [(len(match["indent"]), match["key"])]
            last = ".".join(key for _, key in path)
            found[last] = (match["comment"] or "").strip()
        else:
            last = None
    return found
