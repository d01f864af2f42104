"""From settings to modules: `ModelConfig`, the encoder, the heads, and `build`."""
