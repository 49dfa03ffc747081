"""Other files than Keras's own: converted in processes of their own, proven in others that have their runtime alone."""
