"""The service: what ``tuner.api`` does, over HTTP. Needs the extra ``serve``."""
