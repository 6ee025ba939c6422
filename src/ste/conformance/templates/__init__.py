"""Templates of `python -m ste.new`: `KIND.py.txt`, `KIND.yaml.txt` or both.

`$name` is the typed name, `$Name` the same as a class name. A line `# next: COMMAND` in the module is printed instead
of written.
"""
