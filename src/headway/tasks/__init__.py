"""The tasks: each binds a reader, a model, a loss, metrics and baselines."""
