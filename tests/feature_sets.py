"""The shipped feature sets that most tests read."""

from ste.config.feature_sets import load_feature_set
from ste.features.column_forms import ColumnForms
from ste.schema import table_columns

WEEKLY21 = load_feature_set("weekly21")
PRICES11 = load_feature_set("prices11")
FEATURES = WEEKLY21.names
GROUPS = WEEKLY21.groups
COLUMNS = table_columns(WEEKLY21)
FORMS = ColumnForms.from_features(WEEKLY21).to_dict()
SLOW_MACRO = tuple(column.name for column in WEEKLY21.columns if column.normalization == "window_change")
