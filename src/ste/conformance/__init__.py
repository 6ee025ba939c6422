"""What a component must do, checked on a user's own: `python -m ste.check my_net`, and templates to start from.

`suites/` holds a file for each kind of component, `templates/` the files that `python -m ste.new KIND NAME` writes.
"""
