"""Texts to ids, and ids to texts."""
