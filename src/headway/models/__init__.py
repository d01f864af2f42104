"""Settings become modules: `Architecture`, the encoder, the heads, and `build`."""
