"""Image classification: a label, or several, for an image."""
