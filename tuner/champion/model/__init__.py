"""A kept model as an export uses it: loaded, its inputs and outputs named, its metrics."""
