"""Checks of each kind: a file here registers a function in `ste.conformance.suite.SUITES` under the kind's name.

The function receives the component's name and returns its checks in order (`ste.conformance.suite.Check`).
"""
