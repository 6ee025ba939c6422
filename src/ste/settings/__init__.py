"""Settings of every part, as plain dataclasses that check themselves.

They are the schema of the files under `conf/`: the field names are the override keys
(`data.labels.threshold=0.02`). Nothing here knows Hydra; nothing below the entry points needs it.
"""

from ste.settings.augment import AugmentSettings
from ste.settings.commands import (
    AuditSettings,
    CompareSettings,
    EnsembleSettings,
    EvaluateSettings,
    GenerateSettings,
    ReportSettings,
    ReproduceSettings,
    UiSettings,
)
from ste.settings.data import (
    SOURCES,
    DataSettings,
    LabelSettings,
    MarketSettings,
    SplitSettings,
    TableSettings,
    WorldSettings,
)
from ste.settings.export import ExportSettings
from ste.settings.live import LivePaths, LiveSettings, RedisSettings, ReplaySettings
from ste.settings.monitor import MonitorSettings
from ste.settings.predict import PredictSettings
from ste.settings.replicas import ReplicaSettings
from ste.settings.run import (
    MONITORS,
    FitSettings,
    OptimizerSettings,
    PathSettings,
    SchedulerSettings,
    ScoringSettings,
    TrackingSettings,
    TrainerSettings,
    TrainSettings,
    ValidationSettings,
)
from ste.settings.serve import LimitSettings, ServeSettings
from ste.settings.sweep import SweepSettings

__all__ = [
    "MONITORS",
    "SOURCES",
    "AuditSettings",
    "AugmentSettings",
    "CompareSettings",
    "DataSettings",
    "EnsembleSettings",
    "EvaluateSettings",
    "ExportSettings",
    "FitSettings",
    "GenerateSettings",
    "LabelSettings",
    "LimitSettings",
    "LivePaths",
    "LiveSettings",
    "MarketSettings",
    "MonitorSettings",
    "OptimizerSettings",
    "PathSettings",
    "PredictSettings",
    "RedisSettings",
    "ReplaySettings",
    "ReplicaSettings",
    "ReportSettings",
    "ReproduceSettings",
    "SchedulerSettings",
    "ScoringSettings",
    "ServeSettings",
    "SplitSettings",
    "SweepSettings",
    "TableSettings",
    "TrackingSettings",
    "TrainSettings",
    "TrainerSettings",
    "UiSettings",
    "ValidationSettings",
    "WorldSettings",
]
