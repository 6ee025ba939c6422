"""Templates of `python -m ste.new`: `KIND.py.txt`, and for models `KIND.yaml.txt` or more of them.

`$name` is the typed name, `$Name` the same as a class name. A line `# next: COMMAND` in the module is printed instead
of written.
"""
