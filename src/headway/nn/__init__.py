"""The transformer's parts: tensors in, tensors out. Nothing here knows a batch, a task, a model family or a file."""
