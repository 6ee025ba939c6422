"""Provenance of a run: code, package versions and machine."""

import getpass
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ste.config.processes import cores

PACKAGES = ("ste", "torch", "lightning", "torchmetrics", "mlflow", "hydra-core", "pandas", "numpy", "TA-Lib")

_GIT_TIMEOUT = 10.0
"""Seconds after which a git that hangs, on a network drive for example, counts as missing."""


PROVENANCE = "provenance.json"
"""Artifact of a run that holds its provenance."""

_TAGS = ("git.commit", "git.dirty", "version.ste")


def provenance() -> dict[str, str]:
    """Return the commit with a dirty flag, the package versions and the machine."""
    return {**_git(), **_versions(), **_machine()}


def provenance_tags() -> dict[str, str]:
    """Return the part of the provenance that is tags of a run: the commit and the version of this package."""
    known = _git() | _versions()
    commit = {} if known["git.commit"] == "unknown" else {"mlflow.source.git.commit": known["git.commit"]}
    return commit | {key: known[key] for key in _TAGS}


@cache  # the imported code is that of the start of the process
def _git() -> dict[str, str]:
    """Find the commit of the checkout that contains the package; `unknown` outside a checkout."""

    def git(*arguments: str) -> str | None:
        try:
            return subprocess.check_output(
                ["git", *arguments],
                cwd=Path(__file__).parent,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=_GIT_TIMEOUT,
            ).strip()
        except (OSError, subprocess.SubprocessError):
            return None

    commit = git("rev-parse", "HEAD")
    # The checkout of another project, with this package installed inside, does not count.
    if commit is None or git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return {"git.commit": "unknown", "git.dirty": "unknown"}
    status = (git("status", "--porcelain", "--untracked-files=all") or "").splitlines()
    dirty = [line for line in status if not line.startswith("??") or "src/" in line or "conf/" in line]
    return {"git.commit": commit, "git.dirty": str(bool(dirty)).lower()}


@cache
def _versions() -> dict[str, str]:
    return {"version.python": platform.python_version()} | {f"version.{name}": version(name) for name in PACKAGES}


def _machine() -> dict[str, str]:
    out = {
        "machine.system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "machine.cpu": _cpu(),
        "machine.cores": str(cores()),
        "machine.host": platform.node(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        out["machine.threads"] = str(torch.get_num_threads())
        if torch.cuda.is_available():
            out["machine.gpu"] = torch.cuda.get_device_name()
    return out


@cache
def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def user() -> str:
    """Return the name of the user, as MLflow shows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
