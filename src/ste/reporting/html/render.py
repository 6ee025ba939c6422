"""Templates to text. Whatever is put into them is escaped, and a page may fetch nothing."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, script: str | None = None, **values: Any) -> str:
    """A page.

    Args:
        template: name of a file in `templates/`.
        script: the one script of the page that a browser may run, as a file in `templates/`.
        values: what the template names.
    """
    environment = Environment(
        loader=PackageLoader("ste.reporting.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = environment.get_template(script).render() if script else ""
    # A browser checks the script by its digest, so that a hostile name that got through would not run.
    digest = f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'" if source else "'none'"
    return environment.get_template(template).render(script=source, script_digest=digest, **values)
