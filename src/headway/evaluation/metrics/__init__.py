"""The metrics, each with its interval."""
