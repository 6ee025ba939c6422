"""Feature sets that many tests use."""

from ste.config.feature_sets import load_feature_set

WEEKLY21 = load_feature_set("weekly21")
PRICES11 = load_feature_set("prices11")
FEATURES = WEEKLY21.names
