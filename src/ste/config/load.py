"""From a composed configuration, or one read back from a run, to checked settings.

Hydra and OmegaConf are known here and in the entry points alone. A configuration is data: its values
become the dataclasses of `ste.config`, and nothing in it names code to run.
"""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ste.config import (
    SOURCES,
    AuditSettings,
    CompareSettings,
    EnsembleSettings,
    EvaluateSettings,
    ExportSettings,
    GenerateSettings,
    LiveSettings,
    MonitorSettings,
    PathSettings,
    PredictSettings,
    ReportSettings,
    ReproduceSettings,
    ServeSettings,
    SweepSettings,
    TableSettings,
    TrackingSettings,
    TrainSettings,
    UiSettings,
)
from ste.config.input_checks import check_file, check_inputs
from ste.errors import ConfigError
from ste.schema import KEYS, MARKET_COLUMNS


@cache
def conf_dir() -> Path:
    """The configuration folder: beside `src/` in a checkout, inside the package when installed."""
    package = Path(__file__).parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"{package}: the configuration files are missing. Install the package again.")


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain dicts, lists and scalars, interpolations resolved, without Hydra's own node."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items() if key != "hydra"}


def compose_train(overrides: list[str]) -> DictConfig:
    """The configuration of `python -m ste.train` with these overrides, from within a program."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return compose("train", overrides=overrides)


def train_settings(config: dict[str, Any]) -> TrainSettings:
    """Settings of a training run.

    Raises:
        ConfigError: a value of the wrong type or out of range, or a key that does not exist.
    """
    _check_model_types(config["model"])
    settings: TrainSettings = _typed(TrainSettings, config)
    check_inputs(settings.data)
    return settings


def trial_settings(config: dict[str, Any]) -> tuple[SweepSettings, TrackingSettings, PathSettings]:
    """Of a training run, what says which trial of which sweep it is; the rest may be wrong."""
    kinds = {"sweep": SweepSettings, "tracking": TrackingSettings, "paths": PathSettings}
    sweep, tracking, paths = (_object(kind, config.get(key, {}), f"{key}.") for key, kind in kinds.items())
    return sweep, tracking, paths


def generate_settings(config: dict[str, Any]) -> GenerateSettings:
    """Settings of a table to write."""
    settings: GenerateSettings = _typed(GenerateSettings, config)
    check_inputs(settings.data)
    return settings


def reproduce_settings(config: dict[str, Any]) -> ReproduceSettings:
    """Settings of the reproduction."""
    return _typed(ReproduceSettings, config)


def ui_settings(config: dict[str, Any]) -> UiSettings:
    """Settings of the UI."""
    return _typed(UiSettings, config)


def report_settings(config: dict[str, Any]) -> ReportSettings:
    """Settings of a report."""
    return _typed(ReportSettings, config)


def compare_settings(config: dict[str, Any]) -> CompareSettings:
    """Settings of a leaderboard."""
    return _typed(CompareSettings, config)


def ensemble_settings(config: dict[str, Any]) -> EnsembleSettings:
    """Settings of an ensemble."""
    return _typed(EnsembleSettings, config)


def evaluate_settings(config: dict[str, Any]) -> EvaluateSettings:
    """Settings of an evaluation."""
    return _typed(EvaluateSettings, config)


def export_settings(config: dict[str, Any]) -> ExportSettings:
    """Settings of an export."""
    return _typed(ExportSettings, config)


def live_settings(config: dict[str, Any]) -> LiveSettings:
    """Settings of a live pipeline."""
    return _typed(LiveSettings, config)


def audit_settings(config: dict[str, Any]) -> AuditSettings:
    """Settings of an audit; what is wrong with ready tables is for the audit to say."""
    settings: AuditSettings = _typed(AuditSettings, config)
    if not isinstance(settings.data, TableSettings):
        check_inputs(settings.data)
    return settings


def monitor_settings(config: dict[str, Any]) -> MonitorSettings:
    """Settings of a look at a model in use; its tables are there, and their headers name what every such file has."""
    settings: MonitorSettings = _typed(MonitorSettings, config)
    for key, path in settings.files().items():
        check_file(key, Path(path), MARKET_COLUMNS.get(key, KEYS))
    return settings


def predict_settings(config: dict[str, Any]) -> PredictSettings:
    """Settings of a prediction; its files are there, and their headers name what every such file has."""
    settings: PredictSettings = _typed(PredictSettings, config)
    for key, path in settings.files().items():
        check_file(key, Path(path), MARKET_COLUMNS.get(key, KEYS), parts=key == "input")
    return settings


def serve_settings(config: dict[str, Any]) -> ServeSettings:
    """Settings of the service."""
    settings: ServeSettings = _typed(ServeSettings, config)
    for key, path in settings.files().items():
        check_file(key, Path(path), MARKET_COLUMNS[key])
    return settings


def _typed(cls: type, config: dict[str, Any]) -> Any:
    config = dict(config)
    data = config.get("data")
    if data is not None:
        source = data.get("source")
        if source not in SOURCES:
            raise ConfigError(f"data.source={source}: expected one of {', '.join(SOURCES)}. Try data=world.")
        config["data"] = _object(SOURCES[source], data, "data.")
    for key, kind in cls.__annotations__.items():
        if isinstance(kind, type) and is_dataclass(kind) and key in config:
            config[key] = _object(kind, config[key], f"{key}.")
    unknown = ", ".join(sorted(set(config) - set(cls.__annotations__)))
    if unknown:
        raise ConfigError(f"{unknown}: no such setting. Expected {', '.join(cls.__annotations__)}.")
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    missing = ", ".join(name for name in needed if name not in config)
    if missing:
        raise ConfigError(
            f"{missing}: not in the configuration, which is of an earlier version of the project. Train anew."
        )
    for field in fields(cls):
        value = config.get(field.name)
        if field.type is int and (not isinstance(value, int) or isinstance(value, bool)):
            raise ConfigError(f"{field.name}={value}: expected a whole number. Try {field.name}={field.default}.")
    return cls(**config)


def _object(cls: type, values: dict[str, Any], prefix: str) -> Any:
    try:
        return OmegaConf.to_object(OmegaConf.merge(_schema(cls), values))
    except ConfigKeyError as error:
        raise ConfigError(f"{prefix}{error.full_key}: no such setting. {_known(cls, prefix)}") from None
    except MissingMandatoryValue as error:
        raise ConfigError(f"{prefix}{error.full_key}: is not set. Try {prefix}{error.full_key}=<value>.") from None
    except OmegaConfBaseException as error:
        reason = str(error.msg).splitlines()[0] if error.msg else type(error).__name__
        names = {field.name: field.default for field in fields(cls)}
        example = names.get(str(error.full_key), MISSING)
        hint = "" if example is MISSING or example is None else f" Try {prefix}{error.full_key}={example}."
        raise ConfigError(f"{prefix}{error.full_key}: {reason}.{hint}") from None


@cache
def _schema(cls: type) -> Any:
    """What OmegaConf makes of a dataclass; `merge` copies it."""
    return OmegaConf.structured(cls)


def _known(cls: type, prefix: str) -> str:
    return "Expected one of " + ", ".join(prefix + field.name for field in fields(cls)) + "."


def _check_model_types(model: dict[str, Any]) -> None:
    """A model's arguments have the type of their default in `conf/model/`; ranges are the model's to check."""
    kind = "baseline" if "baseline" in model else "net"
    known = [c for c in model_configs().values() if kind in c]
    default = next((c for c in known if c[kind] == model.get(kind)), None)
    if default is None:
        names = ", ".join(str(c[kind]) for c in known)
        raise ConfigError(f"model.{kind}={model.get(kind)}: expected one of {names}. Try model=lstm.")
    for key, value in model.items():
        if key not in default:
            raise ConfigError(f"model.{key}: no such setting. Expected one of {', '.join(default)}.")
        expected = type(default[key])
        allowed = {float: (float, int), type(None): (int, type(None))}.get(expected, (expected,))
        if not isinstance(value, allowed) or (isinstance(value, bool) and expected is not bool):
            word = {int: "a whole number", float: "a number", str: "a name"}.get(expected, "a whole number or null")
            raise ConfigError(f"model.{key}={value}: expected {word}. Try model.{key}={default[key] or 8}.")


@cache
def model_configs() -> dict[str, dict[str, Any]]:
    """Every file of `conf/model/` by name."""
    files = sorted((conf_dir() / "model").glob("*.yaml"))
    return {path.stem: plain(OmegaConf.load(path)) for path in files}  # type: ignore[arg-type]
