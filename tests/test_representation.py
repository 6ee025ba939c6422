import numpy as np
import pytest
import torch

from feature_sets import FEATURES, FORMS, SLOW_MACRO, WEEKLY21
from ste.config import SyntheticSettings
from ste.features.feature_rows import feature_rows
from ste.features.normalization import CLIP, Normalizer
from ste.synthetic.generator import generate_market

PRICES = [FEATURES.index(name) for name in FEATURES[:4] + FEATURES[5:7] + FEATURES[8:11]]


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    rows = feature_rows(
        generate_market(SyntheticSettings(source="world", tickers=3, start="2019-01-01", end="2020-12-31")),
        "weekly",
        WEEKLY21,
    )
    return torch.tensor(rows[list(FEATURES)].to_numpy(dtype=np.float32)).unfold(0, 4, 1).transpose(1, 2)


@pytest.mark.parametrize("kind", ["standard", "stationary"])
@pytest.mark.parametrize("view", ["sequence", "flat"])
def test_prepared_features_are_scaled_over_what_was_fitted(windows: torch.Tensor, kind: str, view: str):
    raw = windows if view == "sequence" else windows[:, -1]
    representation = Normalizer(FORMS, kind)
    representation.fit(lambda: [raw[:100], raw[100:]])
    x = representation(raw).reshape(-1, len(FEATURES))
    assert x.shape[1] == len(FEATURES)
    assert x.abs().max() <= CLIP
    constant = x.std(0) < 1e-3
    # Rare events reach beyond the cut, so their prepared spread is below 1; no column's is above.
    rare = torch.tensor([name.startswith("policy") or name in SLOW_MACRO for name in FEATURES])
    assert (x.mean(0).abs() < 0.1).all()
    assert ((x.std(0) - 1).abs() < 0.1)[~constant & ~rare].all()
    assert (x.std(0) < 1.1).all()
    # At the most, columns that cannot vary in this view: slow macro figures of a single row.
    assert set(np.array(FEATURES)[constant.numpy()]) <= {*SLOW_MACRO, "policy_event_count", "policy_impact_score"}


def test_what_is_fitted_does_not_depend_on_the_chunks(windows: torch.Tensor):
    whole, parts = (Normalizer(FORMS, "stationary") for _ in range(2))
    whole.fit(lambda: [windows])
    parts.fit(lambda: windows.split(37))
    torch.testing.assert_close(whole.mean, parts.mean)
    torch.testing.assert_close(whole.scale, parts.scale)


def test_a_later_split_or_dividend_changes_nothing_in_the_stationary_representation(windows: torch.Tensor):
    representation = Normalizer(FORMS, "stationary")
    scaled = windows.clone()
    scaled[..., PRICES] *= 0.25
    scaled[..., FEATURES.index("stock_volume")] *= 4.0
    torch.testing.assert_close(representation(scaled), representation(windows), atol=2e-4, rtol=1e-4)
    standard = Normalizer(FORMS, "standard")
    assert not torch.allclose(standard(scaled), standard(windows))


def test_the_level_of_slow_macro_figures_does_not_enter(windows: torch.Tensor):
    representation = Normalizer(FORMS, "stationary")
    moved = windows.clone()
    moved[..., [FEATURES.index(name) for name in SLOW_MACRO]] += 2.0
    torch.testing.assert_close(representation(moved), representation(windows), atol=1e-5, rtol=1e-5)


def test_a_constant_column_is_centred_and_not_blown_up():
    x = torch.randn(50, len(FEATURES))
    x[:, 3] = 1e6
    representation = Normalizer(FORMS, "standard")
    representation.fit(lambda: [x])
    assert representation(x)[:, 3].abs().max() == 0.0
    assert representation.scale[3] == 1.0


def test_a_shock_is_cut():
    representation = Normalizer(FORMS, "standard")
    sample = torch.randn(50, len(FEATURES))
    representation.fit(lambda: [sample])
    assert representation(torch.full((1, len(FEATURES)), 1e9)).max() == CLIP


def test_raw_features_are_left_as_they_were(windows: torch.Tensor):
    before = windows.clone()
    Normalizer(FORMS, "stationary")(windows)
    assert torch.equal(before, windows)
