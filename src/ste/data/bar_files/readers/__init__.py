"""Readers of bars by kind of storage, one file each.

A reader is a class with `accepts(path, head)` and `tables(path, options)` that its module registers in
`ste.data.bar_files.reader_registry`.
"""
