"""Images become pixels."""
