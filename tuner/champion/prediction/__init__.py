"""Predictions of an exported champion, on files, rows and JSON lines."""
