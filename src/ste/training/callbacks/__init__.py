"""Callbacks of our own; a module here registers its class with `@CALLBACKS.register`."""
