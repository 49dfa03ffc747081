"""The form of a spec: fields and their help from the models of a spec."""
