"""``tuner ...``: parses, calls the API, prints.

Exit codes: 0 done; 1 the command failed; 2 usage; 3 the study ended without a complete trial that keeps its
constraints; 130 interrupted.
"""

# Each adds its commands to the application as it is imported, in the order in which --help lists them.
from tuner.cli import study_commands

# isort: split
from tuner.cli import spec_commands

# isort: split
from tuner.cli import query_commands

# isort: split
from tuner.cli import champion_commands

# isort: split
from tuner.cli import registry_commands

# isort: split
from tuner.cli import cluster_commands

# isort: split
from tuner.cli import service_commands

# isort: split
from tuner.cli import cache_commands

# isort: split
from tuner.cli import storage_commands
from tuner.cli.app import app, main

__all__ = [
    "app",
    "cache_commands",
    "champion_commands",
    "cluster_commands",
    "main",
    "query_commands",
    "registry_commands",
    "service_commands",
    "spec_commands",
    "storage_commands",
    "study_commands",
]
