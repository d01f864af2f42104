"""Files to read, and a cache of its own for every test."""

from tests.tables import own_cache, table, write, write_json, write_parquet

__all__ = ["own_cache", "table", "write", "write_json", "write_parquet"]
