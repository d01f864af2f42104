"""How good a model is, said honestly: metrics with intervals, baselines on the same rows, charts, the report."""
