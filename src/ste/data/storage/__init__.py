"""Tables on disk: CSV and Parquet files, Parquet shards, memory-mapped arrays."""
