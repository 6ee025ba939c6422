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
from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Bin, Estimate, Gain, Scorecard
from ste.evaluation.verdict import Verdict
from ste.evaluation.verdict_text import ARTIFICIAL
from ste.reporting.formatting import MINUS, NONE, cell, label, number, typographic
from ste.reporting.html.charts import figures, second_chart
from ste.reporting.html.leaderboard import Board, BoardRow, luck, rank_runs, render_leaderboard
from ste.reporting.html.report_data import MemberRow, ReportData
from ste.reporting.html.report_page import render_report
from ste.reporting.html.report_tables import key_figures, monthly_returns
from ste.reporting.leaderboard_text import next_commands, print_leaderboard

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
        dates=dates,
        returns=[0.1, -0.05, 0.02, 0.01],
        equity=[1.1, 1.045, 1.0659, 1.0766],
        turnover=[2.0, 1.0, 1.5, 0.5],
        kind="long_short",
        cost_bps=7.5,
        benchmark=[1.01, 1.02, 1.03, 1.04],
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


def verdict(text: str = "It is better than guessing.", word: str = "better than guessing") -> Verdict:
    points, details = (f"{text} A point.",), (f"{text} A detail.",)
    return Verdict(word, headline=text, points=points, details=details, tags={"verdict.p": "0.012"})


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


HISTORY = [{"train/loss": 1.1 - k / 100, "val/loss": 1.09, "val/accuracy": 0.4} for k in range(5)]


def report(**changes: object) -> ReportData:
    plain = ReportData(
        run_id="8c1f2ab37de94c0f",
        name="a-run",
        model="SimpleLSTM",
        created="2026-01-02 03:04:05",
        verdict=verdict(),
        scores={"train": scorecard(), "validation": scorecard(), "test": scorecard()},
        predictions=predictions(),
        history=HISTORY,
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
    assert f"id-1 0.625 51.2 % [49.2, 53.2] 1.0456 [1.0256, 1.0656] MLP two id-2 0.375 {NONE} {NONE}" in page.text
    assert "Importance is measured for one model" in page.text
    assert "No curves" not in page.text
    assert "Members" not in assert_self_contained(render_report(only())).text


def test_a_report_is_whole_and_needs_no_network(full: str):
    page = assert_self_contained(full)
    sections = [str(section["id"]) for section in page.all("section")]
    assert sections == [link["href"][1:] for link in page.all("a") if link["href"] != "#content"][: len(sections)]
    for drawing in page.all("svg"):
        assert drawing["role"] == "img"
        assert len(str(drawing["aria-label"])) > 20
    assert not list(page.all("script"))
    assert all("scope" in heading for heading in page.all("th"))


def test_the_report_begins_with_the_verdict_and_has_every_number_with_its_interval(full: str):
    text = Page(full).text
    scores = text.index("All rows are scored on the same examples")
    assert 0 < text.index("It is better than guessing. A point.") < text.index("A detail.") < scores
    for shown in (
        "43.2 % [41.2, 45.2]",
        "1.0432 [1.0232, 1.0632]",
        f"{MINUS}0.012 [{MINUS}0.032, 0.008]",
        "+6.2 points [3.1, 9.3] < 0.001",
        "+0.0468 [0.0200, 0.0700] 0.012",
        f"0.83 [{MINUS}0.07, 1.73]",
        "5.1 % [3.1, 7.1]",
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
    assert "Value of 1 invested, its benchmark, and drawdown, validation" in text
    assert len(list(page.all("svg"))) == len(
        ["accuracy", "reliability", "reliability", "ic", "equity", "equity", "groups", "features", "lags", "curves"]
    )


def test_a_synthetic_market_is_marked_and_its_portfolio_is_not_at_the_top(full: str):
    text = Page(full).text
    top = text[: text.index("All rows are scored")]
    assert f"Sharpe ratio, test 0.83 [{MINUS}0.07, 1.73] artificial: synthetic market" in top
    assert "Metrics over the epochs of training" in top
    assert "Value of 1 invested" not in top
    assert f"Trading artificial: synthetic market {ARTIFICIAL}" in text


def test_a_real_market_shows_its_portfolio_and_benchmark_at_the_top():
    text = Page(render_report(report(card=CARD | {"source": "market"}))).text
    assert "Value of 1 invested on test, after costs, and its benchmark" in text[: text.index("All rows are scored")]
    assert "artificial" not in text
    assert "after costs; cash: 0" in text


@pytest.mark.parametrize(
    ("changes", "chart"),
    [
        ({"card": CARD | {"source": "market"}}, "equity-test"),
        ({}, "curves"),
        ({"history": ()}, "reliability-test"),
        ({"history": (), "scores": {"test": scorecard(reliability=[])}}, None),
    ],
    ids=["real", "synthetic", "not trained in epochs", "nothing"],
)
def test_the_second_chart_is_the_portfolio_of_a_real_market_or_curves_or_calibration(changes: dict, chart: str | None):
    shown = only(**{"history": HISTORY, "scores": {"test": scorecard()}, **changes})
    chosen = second_chart(shown, "test", figures(shown, "test"))
    assert (chosen and chosen[0]) == chart
    assert render_report(shown).count("<svg") == len(figures(shown, "test"))  # each chart once


@pytest.mark.parametrize(
    ("word", "tone"), [("better", "good"), ("better than guessing", "fair"), ("not better", ""), ("inconclusive", "")]
)
def test_a_colour_stands_for_a_verdict_that_is_in_words_too(word: str, tone: str):
    text = render_report(only(verdict=verdict(word=word)))
    assert f'<div class="verdict {tone}"' in text
    assert f'<span class="badge {tone}">{word}</span>' in text


def test_key_figures_compare_with_the_baseline_of_the_verdict():
    first = key_figures(scorecard(), synthetic=False)[0]
    assert (first.shown.text, first.reference) == ("43.2 %", "best baseline, majority: 37.0 %")
    same = key_figures(scorecard(identical=("majority",)), synthetic=True)
    assert same[0].reference == "best baseline, persistence: 35.0 %"
    assert [figure.name for figure in same if figure.artificial] == ["Sharpe ratio"]
    nothing = scorecard(baselines={"majority": {"accuracy": estimate(0.4)}}, identical=("majority",))
    assert key_figures(nothing, synthetic=False)[0].reference == "no other baseline"


def test_monthly_returns_compound_by_the_month_of_the_purchase():
    portfolio = Portfolio(
        ["2019-12-27", "2020-01-03", "2020-01-31", "2020-03-06"], [0.5, 0.1, 0.1, -0.5], [], [], "long_only", 0.0
    )
    first, second = monthly_returns(portfolio)
    assert (first.year, second.year) == (2019, 2020)
    assert [month.text for month in second.months[:4]] == ["21.0", NONE, f"{MINUS}50.0", NONE]
    assert [first.months[11].text, first.total.text, second.total.text] == ["50.0", "50.0", f"{MINUS}39.5"]


def test_the_confusion_matrix_has_counts_and_shares(full: str):
    text = Page(full).text
    assert "Downtrend 30 60.0 % 10 20.0 % 10 20.0 %" in text
    assert "Uptrend 1 2.0 % 2 4.0 % 47 94.0 %" in text


def test_a_model_named_as_its_baseline_does_not_hide_it():
    text = figures(only(model="majority"), "test")["accuracy"]
    assert "majority 43.2 %, majority 37.0 %, persistence 35.0 %, Bayes 47.0 %" in text


def test_drawdown_is_what_is_lost_since_the_highest_value():
    text = figures(only(scores={"test": scorecard(reliability=[])}), "test")["equity-test"]
    assert "Benchmark, all tickers, equal weights: 1.040." in text
    assert "largest drawdown 5.0 %" in text  # 1.045 of 1.1
    early = scorecard(portfolio=Portfolio(["2020-01-03"], [-0.2], [0.8], [1.0], "long_only", 0.0))
    assert "largest drawdown 20.0 %" in figures(only(scores={"test": early}), "test")["equity-test"]


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
    bare = ReportData(
        "id", "name", "majority", "2026-01-01", Verdict("not better"), {"test": card}, CARD, {}, ["python -m ste.train"]
    )
    text = assert_self_contained(render_report(bare)).text
    for sentence in (
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
    assert "Without a class Neutral the score is of direction only" in text
    assert "No portfolio: 88 days are too few for annual figures." in text
    assert "Integrated gradients are for nets; this run has none." in text


def test_hostile_names_stay_text():
    hostile = report(
        name=HOSTILE,
        model=HOSTILE,
        verdict=replace(verdict(HOSTILE, HOSTILE), tags={HOSTILE: HOSTILE}),
        run_id=HOSTILE,
        commands=[HOSTILE],
        config={HOSTILE: HOSTILE},
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
    assert len(heads) == 13 == len(list(page.all("button")))
    assert [head.get("aria-sort") for head in heads] == ["ascending"] + [None] * 12
    assert "Ranked by validation log-loss, not by the test split" in page.text
    assert "There are 40 trials on this data" in page.text
    assert "42.0 % [40.0, 44.0]" in page.text
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


def test_a_leaderboard_links_to_the_report_and_to_mlflow():
    address = "http://127.0.0.1:5000/#/experiments/1/runs/id-first"
    rows = [row("first", 1.0, link="id-first.html", mlflow=address), row("second", 1.1)]
    text = render_leaderboard(replace(BOARD, rows=rows))
    links = [link["href"] for link in Page(text).all("a")]
    assert links == ["#content", "id-first.html", address]
    assert "python -m ste.report run=id-secon" in Page(text).text
    assert "Links to MLflow open while" in Page(text).text
    assert "Links to MLflow open while" not in Page(render_leaderboard(replace(BOARD, rows=rows, server=True))).text
    assert [mark["title"] for mark in Page(text).all("span") if mark.get("class") == "id"] == ["id-first", "id-second"]


def test_a_leaderboard_draws_the_ranked_runs_next_to_their_best_baselines():
    rows = [replace(row, baselines={"majority": 0.35, "linear": 0.44}) for row in BOARD.rows]
    (drawing,) = Page(render_leaderboard(replace(BOARD, rows=rows))).all("svg")
    assert "on the test split: id-first 42.0 %, id-secon 42.0 %, id-third 42.0 %." in str(drawing["aria-label"])
    assert not list(Page(render_leaderboard(Board("e", [row("none", None)], 1))).all("svg"))


def test_sharpe_ratios_of_a_synthetic_market_are_marked():
    assert "artificial" not in render_leaderboard(BOARD)
    text = Page(render_leaderboard(replace(BOARD, synthetic=True))).text
    assert "Sharpe ratios: artificial: synthetic market" in text
    assert "Sharpe ratio, artificial" in text


def test_a_better_verdict_below_the_first_rank_is_explained():
    rows = [row("first", 1.0), row("second", 1.1, word="better"), row("other", 0.5, word="better", examples=99)]
    board = replace(BOARD, rows=rows)
    sentence = (
        'Best by validation log-loss: id-first (GRU), verdict "not better". id-secon (GRU) has the better verdict '
        '"better". Validation decides'
    )
    assert sentence in Page(render_leaderboard(board)).text
    assert sentence in " ".join(printed(board).split())
    assert "has the better verdict" not in printed(BOARD)


def test_an_empty_leaderboard_is_stated():
    assert "There are no finished runs yet." in Page(render_leaderboard(Board("e", [], 0))).text


def printed(board: Board) -> str:
    out = io.StringIO()
    print_leaderboard(board, Console(file=out, width=80, highlight=False))
    return out.getvalue()


def test_the_terminal_shows_the_same_within_80_columns():
    long = row(
        "a-very-long-name-of-a-run", 1.05, model="TemporalConvolution", examples=7532, word="better than guessing"
    )
    text = printed(replace(BOARD, rows=[*BOARD.rows, long, row("[red]", 1.3, model="[red]")]))
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.split() for line in text.splitlines()]
    ranks = {line[1]: line[0] for line in lines if line[:1] and line[0].isdigit() and len(line) > 6}
    assert ranks["id-first"] == "1"
    assert ranks["id-secon"] == "3"
    assert "42.0 % [40.0, 44.0]" in " ".join(text.split())
    assert "> guessing" in text
    assert "[red]" in text
    assert "99*" in text
    assert "* scored on other rows than most runs" in text
    assert "There are 40 trials on this data" in text
    assert next_commands(BOARD).keys() >= {"python -m ste.report run=id-first", "python -m ste.ui"}


def test_equal_numbers_of_rows_are_stated_once():
    text = printed(replace(BOARD, rows=BOARD.rows[:3]))
    assert "acl18: 3 runs, test metrics, 7,532 rows each" in text
    assert "rows\n" not in text
    other = printed(replace(BOARD, rows=[*BOARD.rows[:3], row("strange", 0.9, data="other")]))
    assert "GRU*" in other


def test_the_widest_figures_fit_the_terminal():
    wide = {"accuracy": Estimate(1.0, 0.999, 1.0)}
    rows = [
        row(
            f"{k}" * 30,
            -10.0 - k / 100,
            figures=wide,
            examples=123_456_789 - (k == 8),
            word="better than guessing",
            model="M" * 40,
        )
        for k in range(9)
    ]
    text = printed(Board("e", rows, trials=9))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("123.5 M") == 9
    assert text.count("100.0 %  [99.9, 100.0]") == 9
    assert text.count("> guessing") == 9


# --- words ---


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.43214, "accuracy", "43.2 %"),
        (1.043214, "log_loss", "1.0432"),
        (-0.5, "portfolio_sharpe", f"{MINUS}0.50"),
        (-0.0001, "accuracy", "0.0 %"),
        (0.1234, "portfolio_annual_return", "12.3 %"),
        (-0.1234, "portfolio_max_drawdown", f"{MINUS}12.3 %"),
    ],
)
def test_digits(value: float, name: str, text: str):
    assert number(value, name) == text


def test_signs_and_missing_figures():
    assert number(0.012, "accuracy", signed=True) == "+1.2 points"
    assert number(0.0, "accuracy", signed=True) == "0.0 points"
    assert number(0.012, "log_loss", signed=True) == "+0.0120"
    assert cell(None, "accuracy").text == cell(Estimate(float("nan")), "accuracy").text == NONE
    assert cell(Estimate(0.5), "accuracy").interval == ""


def test_minus_signs_of_sentences_are_those_of_numbers():
    text = "log-loss of run-1 is -0.5 points [-3.4, 2.5], (-1) at 2024-01-05"
    assert typographic(text) == f"log-loss of run-1 is {MINUS}0.5 points [{MINUS}3.4, 2.5], ({MINUS}1) at 2024-01-05"


def test_labels():
    assert label("precision_uptrend") == "precision, Uptrend"
    assert label("f1_downtrend") == "F1, Downtrend"
    assert label("log_loss") == "log-loss"
    assert label("unheard_of").startswith("unheard")
