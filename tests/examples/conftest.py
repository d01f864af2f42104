"""Files to read, examples made from them, and a cache of its own for every test."""

from tests.tables import examples, own_cache, table, write, write_json, write_parquet

__all__ = ["examples", "own_cache", "table", "write", "write_json", "write_parquet"]
