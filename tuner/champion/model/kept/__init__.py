"""A kept `.keras` file: what it holds, what of it is loaded, and what it lacks without the code of its user."""
