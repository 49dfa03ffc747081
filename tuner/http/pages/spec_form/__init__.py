"""The form of a spec: fields from the spec's models, help from the comments of `tuner init`'s templates."""
