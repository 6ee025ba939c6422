"""Rendering of templates: every value is escaped, and a page loads nothing."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, script: str | None = None, **values: Any) -> str:
    """Render a page.

    Args:
        template: name of a file in `templates/`.
        script: name of a file in `templates/`, the only script that a browser may run on the page.
        values: variables of the template.
    """
    environment = Environment(
        loader=PackageLoader("ste.reporting.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = environment.get_template(script).render() if script else ""
    # The browser runs only a script with this digest, so that an injected one would not run.
    digest = f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'" if source else "'none'"
    return environment.get_template(template).render(script=source, script_digest=digest, **values)
