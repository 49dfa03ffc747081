"""The service from another machine: the functions of ``tuner.api``, over HTTP.

    client = Client("https://tuner.example.org", token="kc_...")
    client.best_trials("digits")

Methods have the names, arguments and results of ``tuner.api``, and raise its errors. Lists are read in pages. Needs
the extra ``client``.

What ``tuner.api`` does with this machine's files and workers has no method: docs/service.md lists it.
"""

try:
    import httpx as httpx
except ImportError as error:
    raise ImportError("tuner.client needs a library that is missing: pip install 'keras-champion[client]'") from error

from tuner.client.client import Client

__all__ = ["Client"]
