"""Rows out of files, one format per module."""
