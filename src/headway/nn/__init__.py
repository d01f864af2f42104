"""The transformer's parts: tensors in, tensors out. Nothing here knows batches, tasks, model families or files."""
