"""The list of mutations is up to date; `python -m studies.mutations` runs them."""

from pathlib import Path

import pytest

from studies.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_and_names_a_test_that_exists(mutation: Mutation):
    assert (ROOT / "src" / "ste" / mutation.file).read_text().count(mutation.before) == 1
    for name in mutation.tests:
        file, _, test = name.partition("::")
        source = (ROOT / "tests" / f"test_{file}.py").read_text()
        assert f"def {test.partition('[')[0]}" in source
