"""Settings become modules: `ModelConfig`, the encoder, the heads, and `build`."""
