"""A study as one page that needs nothing else: ``writing.write_page``. Never imports TensorFlow."""
