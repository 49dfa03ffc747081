"""What is written down of an export, as data."""
