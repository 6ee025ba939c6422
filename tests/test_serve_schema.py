"""The service against its own OpenAPI document, by schemathesis over HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onnx_files import tiny_model
from service import Service, serving

# No schema describes that bars must be enough, each once, with a high above its low: such a body is refused (422).
CONFIG = """
[[operations]]
include-path = "/v1/predict/bars"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 422]
"""


@contextmanager
def service_of(view: str, folder: Path) -> Iterator[Service]:
    tiny_model(folder / "model.onnx", view=view, sequence_length=2)
    with serving(folder, "model=model.onnx", "limits.max_examples=3") as running:
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
    assert "Traceback" not in service.log()
    return int(found[1])


def test_a_few_generated_requests_find_no_fault(tmp_path: Path):
    with service_of("sequence", tmp_path) as service:
        options = ("--seed=1", "--max-examples=8", "--no-shrink", "--phases=examples,fuzzing")
        assert cases(service, tmp_path, *options) > 10


@pytest.mark.slow
def test_some_hundred_generated_requests_find_no_fault(tmp_path: Path):
    count = 0
    for view, most in (("flat", 60), ("sequence", 40)):
        folder = tmp_path / view
        folder.mkdir()
        with service_of(view, folder) as service:
            count += cases(service, folder, f"--max-examples={most}", "--phases=examples,coverage,fuzzing")
    assert count >= 300
