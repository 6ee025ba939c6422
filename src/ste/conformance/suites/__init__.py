"""Checks of each kind: a file here registers a function under the kind's name.

The registry is `ste.conformance.component_checks.SUITES`.

The function receives the component's name and returns its checks in order (`ste.conformance.component_checks.Check`).
"""
