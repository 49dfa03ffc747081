"""Champions: a trial's kept model as a folder of files that is proven to score what was recorded."""
