"""Settings of every part, as dataclasses that validate themselves.

They are the schema of the files under `conf/`: the field names are the override keys (`data.labels.threshold=0.02`).
"""

from ste.config.augmentation_settings import AugmentSettings
from ste.config.command_settings import (
    AuditSettings,
    CompareSettings,
    EnsembleSettings,
    EvaluateSettings,
    GenerateSettings,
    InspectSettings,
    ReportSettings,
    ReproduceSettings,
    UiSettings,
)
from ste.config.component_settings import CheckSettings, NewSettings
from ste.config.data_settings import (
    SOURCES,
    DataSettings,
    MarketSettings,
    RealMarketSettings,
    SampleSettings,
    SplitSettings,
    SyntheticSettings,
    TableSettings,
)
from ste.config.export_settings import ExportSettings
from ste.config.fetch_settings import FetchSettings
from ste.config.judge_settings import JudgeSettings
from ste.config.label_settings import LabelSettings
from ste.config.live_settings import LivePaths, LiveSettings, RedisSettings, ReplaySettings
from ste.config.monitor_settings import MonitorSettings
from ste.config.predict_settings import PredictSettings
from ste.config.replica_settings import ReplicaSettings
from ste.config.run_settings import (
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
from ste.config.serve_settings import LimitSettings, ServeSettings
from ste.config.sweep_settings import SweepSettings
