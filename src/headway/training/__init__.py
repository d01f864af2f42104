"""The training loop and what guards it. It is handed callables and knows no task by name."""
