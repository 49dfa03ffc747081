"""A study that is there: where it is, what is open of it, and its budget."""
