"""The built-in operators, one file per family, each registered by name."""
