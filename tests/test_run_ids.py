"""Run IDs on the command line: Hydra reads some as numbers."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from ste.config.run_ids import quote_run_ids

PARSER = OverridesParser.create()
IDS = st.text("0123456789abcdef", min_size=6, max_size=32) | st.from_regex(r"\d{1,7}e\d{4,6}", fullmatch=True)


@given(IDS, st.sampled_from(["run", "resume", "model"]))
def test_an_id_is_read_as_it_was_typed(run_id: str, key: str):
    assert PARSER.parse_override(quote_run_ids(f"{key}={run_id}")).value() == run_id


@given(st.lists(IDS, min_size=2, max_size=3))
def test_ids_in_a_list_are_read_as_they_were_typed(ids: list[str]):
    assert PARSER.parse_override(quote_run_ids(f"runs=[{','.join(ids)}]")).value() == ids


@pytest.mark.parametrize(
    "text", ["run=latest", "run='12345678'", "data.seed=12345678", "optimizer.lr=1e-3", "runs=best:5", "model=lstm"]
)
def test_other_overrides_stay_as_they_are(text: str):
    assert quote_run_ids(text) == text
