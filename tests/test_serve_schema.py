"""The service against its own OpenAPI document, by schemathesis over HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnx_files import tiny_model
from service import Service, serving

# No schema says that bars must be enough, each once, with a high above its low: such a body is refused (422).
CONFIG = """
[[operations]]
include-path = "/v1/predict/bars"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 422]
"""


@pytest.fixture(scope="module", params=["sequence", "flat"])
def service(request, tmp_path_factory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("schema")
    tiny_model(folder / "model.onnx", view=request.param, sequence_length=3)
    with serving(folder, "model=model.onnx", "limits.examples=8") as running:
        yield running


def cases(service: Service, folder: Path, *arguments: str) -> int:
    """Run schemathesis; gives the number of cases, none of which may fail."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", folder / "schemathesis.toml", "run"]
    command += [f"http://127.0.0.1:{service.port}/openapi.json", "--continue-on-failure", "--no-color", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert found, done.stdout[-3000:]
    assert "Traceback" not in service.told()
    return int(found[1])


@pytest.mark.parametrize("service", ["sequence"], indirect=True)
def test_some_hundred_generated_requests_find_no_fault(service: Service, tmp_path: Path):
    assert cases(service, tmp_path, "--seed=1", "--max-examples=60", "--no-shrink", "--phases=examples,fuzzing") > 50


@pytest.mark.slow
def test_five_thousand_generated_requests_find_no_fault(service: Service, tmp_path: Path):
    assert cases(service, tmp_path, "--max-examples=2200", "--phases=examples,coverage,fuzzing") >= 5000
