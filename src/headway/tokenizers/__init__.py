"""Text becomes ids, and ids text."""
