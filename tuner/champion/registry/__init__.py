"""Where exports are kept and what they are called: in the database, and in MLflow."""
