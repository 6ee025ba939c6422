"""Read daily bars from files as users have them: text, Parquet, Feather, databases, folders and archives of them."""
