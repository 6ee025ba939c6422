"""The library behind `import ste`: load data, train, and use what was trained, without a command line or files."""
