"""Text classification: single-label (sentiment …), multi-label, and pairs of texts."""
