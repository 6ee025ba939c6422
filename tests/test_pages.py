"""Pages: whole, self-contained, escaped, and every figure with its interval."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import norm, spearmanr

from ste.evaluation.explain.integrated_gradients import Attribution
from ste.evaluation.explain.permutation_importance import Importance
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Bin, Estimate, Gain, Portfolio, Scorecard
from ste.reporting.formatting import MINUS, NONE, cell, label, number
from ste.reporting.html.charts import figures
from ste.reporting.html.leaderboard import Board, BoardRow, luck, rank_runs, render_leaderboard
from ste.reporting.html.report_data import MemberRow, ReportData
from ste.reporting.html.report_page import render_report
from ste.reporting.leaderboard_text import print_leaderboard

CLASSES = ("Downtrend", "Neutral", "Uptrend")
HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A strict reading: every tag closed in order, every attribute once."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute twice"
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"line {self.getpos()[0]}: </{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.seen if name == tag)


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half)


def scorecard(**changes: object) -> Scorecard:
    figures = {
        "accuracy": estimate(0.4321),
        "log_loss": estimate(1.04321),
        "mcc": estimate(-0.0123),
        "auroc": estimate(0.6),
        "precision_uptrend": estimate(0.41),
        "move_auroc": estimate(0.62),
        "direction_auroc": estimate(0.51),
        "ic_mean": estimate(0.0211),
        "rank_ic_mean": estimate(0.0199),
        "portfolio_sharpe": estimate(0.83, 0.9),
        "portfolio_annual_return": estimate(0.0512),
    }
    baselines = {
        "majority": {"accuracy": estimate(0.37), "log_loss": estimate(1.09)},
        "persistence": {"accuracy": Estimate(0.35)},
        "bayes": {"accuracy": estimate(0.47), "log_loss": estimate(1.01)},
    }
    gains = {"majority": {"accuracy": Gain(0.0621, 0.031, 0.093, 0.0004), "log_loss": Gain(0.0468, 0.02, 0.07, 0.012)}}
    dates = [str(day) for day in np.datetime64("2020-01-03") + 7 * np.arange(4)]
    book = Portfolio(
        dates, [0.1, -0.05, 0.02, 0.01], [1.1, 1.045, 1.0659, 1.0766], [2.0, 1.0, 1.5, 0.5], "long_short", 7.5
    )
    plain = Scorecard(
        examples=7532,
        periods=88,
        unit="week",
        method="bootstrap",
        classes=CLASSES,
        figures=figures,
        confusion=[[30, 10, 10], [5, 40, 5], [1, 2, 47]],
        reliability=[Bin(0.4, 0.38, 500), Bin(0.5, 0.55, 200), Bin(0.9, 0.0, 1)],
        baselines=baselines,
        gains=gains,
        portfolio=book,
    )
    return replace(plain, **changes)


def predictions(weeks: int = 6, tickers: int = 5, paths: int = 1) -> Predictions:
    rng = np.random.default_rng(0)
    n = weeks * tickers
    parts = []
    for path in range(paths):
        probabilities = rng.dirichlet(np.ones(3), n)
        part = pd.DataFrame(probabilities, columns=["p_downtrend", "p_neutral", "p_uptrend"])
        part["date"] = np.repeat(np.datetime64("2020-01-03", "s") + np.timedelta64(7, "D") * np.arange(weeks), tickers)
        part["ticker"] = np.tile([f"T{i}" for i in range(tickers)], weeks)
        parts.append(part.assign(split="test", fold=0, path=path, label=0))
    frame = pd.concat(parts, ignore_index=True)
    frame["return"] = np.tile(rng.normal(size=n), paths)
    return Predictions(frame.sample(frac=1, random_state=0).reset_index(drop=True), CLASSES)


CARD = {
    "source": "world",
    "seed": 7,
    "frequency": "weekly",
    "features": ["news_sentiment", "macro_vix"],
    "classes": list(CLASSES),
    "digest": "abcdef0123456789",
    "protocol": "split by date",
    "purge": 1,
    "notes": [],
    "files": {
        "test": {
            "file": "test_data.csv",
            "sha256": "9f" * 32,
            "rows": 7620,
            "purged": 88,
            "periods": 88,
            "tickers": 88,
            "first": "2020-01-03",
            "last": "2021-01-01",
            "classes": {"Downtrend": 2540, "Neutral": 2540, "Uptrend": 2540},
        }
    },
}


def report(**changes: object) -> ReportData:
    plain = ReportData(
        run_id="8c1f2ab37de94c0f",
        name="a-run",
        model="SimpleLSTM",
        created="2026-01-02 03:04:05",
        verdict="It is better than guessing, and most of it is volatility.",
        word="better than guessing",
        scores={"train": scorecard(), "validation": scorecard(), "test": scorecard()},
        tags={"verdict.p": "0.012"},
        predictions=predictions(),
        history=[{"train/loss": 1.1 - k / 100, "val/loss": 1.09, "val/accuracy": 0.4} for k in range(5)],
        best_epoch=2,
        importance=[
            Importance("news", "group", 0.21, 0.01, 0.18, 0.24, 0.1, 0.002),
            Importance("news_sentiment", "feature", 0.2, 0.01, 0.17, 0.23, 0.09, 0.002),
        ],
        attribution=Attribution(("news_sentiment", "macro_vix"), [[0.1, 0.02], [0.3, 0.04]], 2000, 1e-6),
        card=CARD,
        config={"model": {"net": "SimpleLSTM"}, "list": [1, 2]},
        provenance={"git.commit": "0123abc"},
        commands=["python -m ste.train model=lstm", "python -m ste.evaluate run=latest"],
    )
    return replace(plain, **changes)


def only(**changes: object) -> ReportData:
    """A report with nothing but what is looked at, which is quicker to draw."""
    nothing = {"predictions": None, "history": (), "importance": (), "attribution": None}
    return report(**{"scores": {"test": scorecard(portfolio=None, reliability=[])}, **nothing, **changes})


@pytest.fixture(scope="module")
def full() -> str:
    return render_report(report())


def row(name: str, loss: float | None, **changes: object) -> BoardRow:
    plain = BoardRow(
        run_id=f"id-{name}",
        name=name,
        model="GRU",
        created=f"2026-01-02T03:04:0{len(name) % 10}",
        validation={} if loss is None else {"log_loss": estimate(loss)},
        figures={"accuracy": estimate(0.42, 0.0196), "mcc": estimate(0.1), "log_loss": estimate(1.05)},
        word="not better",
        examples=7532,
        data="digest",
    )
    return replace(plain, **changes)


BOARD = Board(
    "acl18",
    [row("third", 1.2), row("first", 1.0), row("second", 1.1), row("none", None), row("other", 0.5, examples=99)],
    trials=40,
)

# --- the report ---


def assert_self_contained(text: str) -> Page:
    page = Page(text)
    assert len(text.encode()) < 2_000_000
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"<script>.*?</script>", "", text, flags=re.S))
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in page.seen}
    ids = [str(attributes["id"]) for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        target = str(link["href"])
        assert not target.startswith("#") or target[1:] in ids
    (policy,) = (m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    return page


def test_an_ensemble_shows_its_members_instead_of_curves_and_importance():
    figures = {"test": {"accuracy": estimate(0.5123), "log_loss": estimate(1.0456)}}
    members = [MemberRow("id-1", HOSTILE, "GRU", 0.625, figures), MemberRow("id-2", "two", "MLP", 0.375, {})]
    text = render_report(only(members=members, members_text="Weighted by validation."))
    page = assert_self_contained(text)
    assert HOSTILE in page.text
    assert "Members Weighted by validation." in page.text
    assert "GRU" in page.text
    assert f"id-1 0.625 0.512 [0.492, 0.532] 1.0456 [1.0256, 1.0656] MLP two id-2 0.375 {NONE} {NONE}" in page.text
    assert "Importance is measured for one model" in page.text
    assert "No curves" not in page.text
    assert "Members" not in assert_self_contained(render_report(only())).text


def test_a_report_is_whole_and_needs_no_network(full: str):
    page = assert_self_contained(full)
    sections = [str(section["id"]) for section in page.all("section")]
    assert sections == [link["href"][1:] for link in page.all("a") if link["href"] != "#content"]
    for drawing in page.all("svg"):
        assert drawing["role"] == "img"
        assert len(str(drawing["aria-label"])) > 20
    assert not list(page.all("script"))
    assert all("scope" in heading for heading in page.all("th"))


def test_the_report_begins_with_the_verdict_and_has_every_number_with_its_interval(full: str):
    text = Page(full).text
    scores = text.index("All rows of a split are scored on the same examples")
    assert 0 < text.index("It is better than guessing") < scores
    for shown in (
        "0.432 [0.412, 0.452]",
        "1.0432 [1.0232, 1.0632]",
        f"{MINUS}0.012 [{MINUS}0.032, 0.008]",
        "+0.062 [0.031, 0.093] < 0.001",
        "+0.0468 [0.0200, 0.0700] 0.012",
        f"0.83 [{MINUS}0.07, 1.73]",
        "5.1 % [3.1 %, 7.1 %]",
        "7,532 examples, 88 weeks",
        "costs of 7.5 basis points",
        "0.2000 [0.1700, 0.2300]",
        "9f" * 32,
        "python -m ste.evaluate run=latest",
        "lies above 0.5 (chance) , that of the direction AUC contains 0.5 (chance)",
    ):
        assert shown.replace(" ,", ",") in text.replace(" ,", ","), shown


def test_the_test_split_comes_first_and_train_is_not_drawn(full: str):
    page = Page(full)
    text = page.text
    assert text.index("test 7,532") < text.index("validation 7,532") < text.index("train 7,532")
    captions = page.text
    assert "Value of 1 invested, and drawdown, validation" in captions
    assert len(list(page.all("svg"))) == len(
        ["accuracy", "reliability", "reliability", "ic", "equity", "equity", "groups", "features", "lags", "curves"]
    )


def test_the_confusion_matrix_has_counts_and_shares(full: str):
    text = Page(full).text
    assert "Downtrend 30 60.0 % 10 20.0 % 10 20.0 %" in text
    assert "Uptrend 1 2.0 % 2 4.0 % 47 94.0 %" in text


def test_a_model_named_as_its_baseline_does_not_hide_it():
    text = figures(only(model="majority"), "test")["accuracy"]
    assert "majority 0.432, majority 0.370, persistence 0.350, Bayes 0.470" in text


def test_drawdown_is_what_is_lost_since_the_highest_value():
    text = figures(only(scores={"test": scorecard(reliability=[])}), "test")["equity-test"]
    assert "largest drawdown 5.0%" in text  # 1.045 of 1.1
    early = scorecard(portfolio=Portfolio(["2020-01-03"], [-0.2], [0.8], [1.0], "long_only", 0.0))
    assert "largest drawdown 20.0%" in figures(only(scores={"test": early}), "test")["equity-test"]


@pytest.mark.parametrize("paths", [1, 2])
def test_information_coefficients_are_rank_correlations_averaged_over_paths(paths: int):
    rows = predictions(paths=paths)
    frame = rows.frame.assign(score=rows.frame["p_uptrend"] - rows.frame["p_downtrend"])
    each = [spearmanr(week["score"], week["return"])[0] for _, week in frame.groupby(["date", "path"])]
    text = figures(only(predictions=rows), "test")["ic-test"]
    assert f"coefficient of 6 periods on the test split: mean {np.mean(each):.4f}." in text


def test_rows_without_a_return_are_not_ranked():
    rows = predictions()
    rows.frame.loc[rows.frame["date"] == rows.frame["date"].max(), "return"] = np.nan
    assert "of 5 periods" in figures(only(predictions=rows), "test")["ic-test"]
    rows.frame["return"] = np.nan
    assert "ic-test" not in figures(only(predictions=Predictions(rows.frame, CLASSES)), "test")


def test_what_is_missing_is_left_out_with_a_sentence():
    card = scorecard(portfolio=None, reliability=[], figures={"accuracy": estimate(0.4)})
    bare = ReportData("id", "name", "majority", "2026-01-01", "", "", {"test": card}, CARD, {}, ["python -m ste.train"])
    text = assert_self_contained(render_report(bare)).text
    for sentence in (
        "This run has no verdict.",
        "This run has no metrics of movement and direction.",
        "This run has no reliability curve.",
        "No information coefficients:",
        "No portfolio:",
        "Permutation importance was not measured",
        "No curves: this model is not trained in epochs.",
    ):
        assert sentence in text
    assert render_report(bare).count("<svg") == 1


def test_a_split_of_few_weeks_and_two_classes_is_stated():
    few = scorecard(
        method="binomial",
        unit="day",
        classes=("Downtrend", "Uptrend"),
        confusion=[[3, 1], [2, 2]],
        portfolio=None,
        gains={},
    )
    without = {name: figure for name, figure in few.figures.items() if not name.startswith("move_")}
    text = Page(render_report(report(scores={"test": replace(few, figures=without)}, attribution=None))).text
    assert "too few days to resample" in text
    assert "With two classes the score is of direction only" in text
    assert "three tickers or more in a day" in text
    assert "Integrated gradients are for nets; this run has none." in text


def test_hostile_names_stay_text():
    hostile = report(
        name=HOSTILE,
        model=HOSTILE,
        verdict=HOSTILE,
        word=HOSTILE,
        run_id=HOSTILE,
        commands=[HOSTILE],
        config={HOSTILE: HOSTILE},
        tags={HOSTILE: HOSTILE},
        provenance={HOSTILE: HOSTILE},
        card=CARD
        | {"notes": [HOSTILE], "files": {HOSTILE: CARD["files"]["test"] | {"file": HOSTILE, "classes": {HOSTILE: 3}}}},
        importance=[Importance(HOSTILE, "feature", 0.2, 0.01, 0.17, 0.23, 0.09, 0.002)],
        attribution=Attribution((HOSTILE,), [[0.1], [0.2]], 5, 0.0),
        scores={HOSTILE: scorecard(classes=(HOSTILE, "b", "c"), baselines={HOSTILE: {"accuracy": estimate(0.3)}})},
    )
    text = render_report(hostile)
    page = assert_self_contained(text)
    assert not list(page.all("script"))
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)&lt;/script&gt;", "", text)
    assert HOSTILE in page.text


def test_a_page_repeats_to_the_byte(full: str):
    assert render_report(report()) == full


def test_a_long_daily_run_stays_small():
    days = [str(day) for day in np.datetime64("2000-01-03") + np.arange(5000)]
    rng = np.random.default_rng(0)
    equity = np.cumprod(1 + 0.01 * rng.normal(size=5000)).tolist()
    long = scorecard(portfolio=Portfolio(days, equity, equity, equity, "long_only", 5.0))
    text = render_report(report(scores={"test": long, "validation": long}, predictions=predictions(3000, 3)))
    assert len(text.encode()) < 2_000_000


# --- the leaderboard ---


def test_runs_are_ranked_by_validation_loss_and_other_rows_are_not():
    ranked = [(run.rank, run.row.name, run.other_rows) for run in rank_runs(BOARD)]
    assert ranked[:3] == [(1, "first", False), (2, "second", False), (3, "third", False)]
    assert ranked[3:] == [(None, "none", False), (None, "other", True)]
    worse = replace(
        BOARD, rows=[replace(r, figures={"accuracy": estimate(0.9 if r.name == "third" else 0.1)}) for r in BOARD.rows]
    )
    assert [run.row.name for run in rank_runs(worse)] == [name for _, name, _ in ranked]


def test_runs_on_other_data_are_not_ranked_either():
    strangers = [row("c", 1.0, data="another"), row("d", 1.0, ranked_on=50)]
    board = replace(BOARD, rows=[row("a", 1.1), row("b", 1.2), *strangers])
    ranked = [(run.rank, run.row.name) for run in rank_runs(board)]
    assert ranked == [(1, "a"), (2, "b"), (None, "c"), (None, "d")]


def test_luck_is_the_expected_best_of_so_many_normal_errors():
    """By simulation: 40 errors of one point each; the closed form is an approximation."""
    draws = np.random.default_rng(0).normal(size=(20_000, 40)).max(axis=1).mean()
    found = re.search(r"would be (\d\.\d) points", luck(BOARD))
    assert found
    assert float(found[1]) == pytest.approx(draws * 1.0, abs=0.1)
    assert "standard error of a run: 1.0 points" in luck(BOARD)
    assert norm.ppf(1 - 1 / 40) < draws


def test_one_trial_had_nothing_to_choose_from_and_no_interval_no_number():
    assert "no selection" in luck(replace(BOARD, trials=1))
    assert luck(Board("e", [], trials=3)).endswith("The best of many is partly luck.")


def test_a_leaderboard_is_whole_sortable_and_states_what_ranks():
    text = render_leaderboard(BOARD)
    page = assert_self_contained(text)
    heads = [head for head in page.all("th") if head.get("scope") == "col"]
    assert len(heads) == 12 == len(list(page.all("button")))
    assert [head.get("aria-sort") for head in heads] == ["ascending"] + [None] * 11
    assert "Ranked by validation log-loss, not by the test split" in page.text
    assert "There are 40 trials on this data" in page.text
    assert "0.420 [0.400, 0.440]" in page.text
    (marked,) = [line for line in text.split("<tr") if "flag" in line and "<td" in line]
    assert "id-other" in marked
    assert page.text.index("id-first") < page.text.index("id-secon") < page.text.index("id-other")
    assert any(box["type"] == "search" and box["id"] == "filter" for box in page.all("input"))
    assert any(mark["for"] == "filter" for mark in page.all("label"))


def test_only_the_script_of_the_page_may_run():
    import base64
    import hashlib

    text = render_leaderboard(replace(BOARD, experiment=HOSTILE, rows=[row(HOSTILE, 1.0, model=HOSTILE, word=HOSTILE)]))
    page = assert_self_contained(text)
    assert len(list(page.all("script"))) == 1
    source = re.search(r"<script>(.*?)</script>", text, re.S)
    assert source
    digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text.replace("&#39;", "'")
    assert HOSTILE in page.text


def test_an_empty_leaderboard_is_stated():
    assert "There are no finished runs yet." in Page(render_leaderboard(Board("e", [], 0))).text


def printed(board: Board) -> str:
    out = io.StringIO()
    print_leaderboard(board, Console(file=out, width=100, highlight=False))
    return out.getvalue()


def test_the_terminal_shows_the_same_within_100_columns():
    long = row(
        "a-very-long-name-of-a-run", 1.05, model="TemporalConvolution", examples=7532, word="better than guessing"
    )
    text = printed(replace(BOARD, rows=[*BOARD.rows, long, row("[red]", 1.3)]))
    assert max(map(len, text.splitlines())) <= 100
    lines = [line.split() for line in text.splitlines()]
    ranks = {line[2]: line[0] for line in lines if line[:1] and line[0].isdigit() and len(line) > 8}
    assert ranks["first"] == "1"
    assert ranks["second"] == "3"
    assert "42.0 [40.0,44.0]" in text
    assert "> guessing" in text
    assert "[red]" in text
    assert "99*" in text
    assert "* scored on other rows than most runs" in text
    assert "There are 40 trials on this data" in text


def test_the_widest_figures_fit_the_terminal():
    wide = {name: Estimate(-1.2345, -10.1, -9.9) for name in ("mcc", "log_loss", "direction_auroc", "portfolio_sharpe")}
    wide["accuracy"] = Estimate(1.0, 0.999, 1.0)
    rows = [row(f"{k}" * 30, 1.0 + k / 100, figures=wide, examples=123_456_789, word="inconclusive") for k in range(9)]
    text = printed(Board("e", rows, trials=9))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("123.5 M") == 9
    assert text.count("100.0 [99.9,100.0]") == 9


# --- words ---


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.43214, "accuracy", "0.432"),
        (1.043214, "log_loss", "1.0432"),
        (-0.5, "portfolio_sharpe", f"{MINUS}0.50"),
        (-0.0001, "accuracy", "0.000"),
        (0.1234, "portfolio_annual_return", "12.3 %"),
        (-0.1234, "portfolio_max_drawdown", f"{MINUS}12.3 %"),
    ],
)
def test_digits(value: float, name: str, text: str):
    assert number(value, name) == text


def test_signs_and_missing_figures():
    assert number(0.012, "accuracy", signed=True) == "+0.012"
    assert number(0.0, "accuracy", signed=True) == "0.000"
    assert cell(None, "accuracy").text == cell(Estimate(float("nan")), "accuracy").text == NONE
    assert cell(Estimate(0.5), "accuracy").interval == ""


def test_labels():
    assert label("precision_uptrend") == "precision, Uptrend"
    assert label("f1_downtrend") == "F1, Downtrend"
    assert label("log_loss") == "log-loss"
    assert label("unheard_of").startswith("unheard")
