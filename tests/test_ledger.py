"""Ten weeks of a portfolio, worked out in dollars."""

import numpy as np
import pytest

from ste.evaluation.portfolio.ledger import trade_weights

# Opening prices of Monday 0 to Monday 10.
PRICES = np.array(
    [
        [100, 102, 99, 101, 105, 104, 108, 107, 110, 111, 109],
        [50, 49, 50.5, 52, 51, 53, 52, 54, 53, 55, 56],
        [20, 20.4, 21, 20, 19.5, 19, 19.8, 20.2, 20, 19.6, 20.5],
    ]
).T
WEIGHTS = np.array(
    [
        [0.5, 0.5, -1.0],  # from cash
        [0.5, 0.5, -1.0],  # only the drift is traded
        [1.0, 0.0, -1.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0],  # to cash
        [0.3, 0.3, 0.4],
        [-0.5, 0.25, 0.25],
        [-0.5, 0.5, 0.0],
        [0.5, -0.5, 0.0],  # both turned round
        [1.0, -0.5, -0.5],
    ]
)
COSTS = np.array([0.0005, 0.0010, 0.0020])  # 5, 10 and 20 basis points
BORROW = 0.03 / 52  # of the short positions, a week

# By week, from 100,000 dollars: traded fraction of the equity; fees, borrow and gain in dollars; equity at its end.
# Week 0: 50,000 of A and of B bought, 100,000 of C sold: fees 25 + 50 + 200, borrow 100,000 x 0.03 / 52; 500 A gain
# 1,000, 1,000 B lose 1,000, 5,000 C sold short lose 2,000.
LEDGER = np.array(
    [
        (2.000000000000000, 275.000000000000, 57.692307692308, -2000.000000000000, 97667.307692307688),
        (0.068245810935869, 9.914903846154, 56.346523668639, -2813.944039154123, 94787.102225638781),
        (1.091615471340735, 85.528974454967, 54.684866668638, 6428.562488607536, 101075.450873122711),
        (2.849859904216325, 329.973308845138, 0.000000000000, -1943.758670636975, 98801.718893640602),
        (1.003339752714225, 99.131692202486, 0.000000000000, 0.000000000000, 98702.587201438102),
        (1.000000000000000, 123.378234001798, 0.000000000000, 2242.541479743621, 100821.750447179933),
        (1.001223726363156, 76.302821618259, 29.083197244379, 1945.408031161591, 102661.772459478889),
        (0.509025162909445, 77.278674637722, 29.613972824850, -2389.755693284858, 100165.124118731459),
        (2.029803388413505, 151.889192329474, 28.893785803480, -1434.611983518710, 98549.729157079797),
        (1.014557239231293, 125.253270179642, 56.855612975238, -4934.198757011841, 93433.421516913077),
    ]
)


def test_ten_weeks_in_dollars_to_nine_digits():
    trades = trade_weights(WEIGHTS, PRICES[1:] / PRICES[:-1] - 1.0, COSTS, BORROW)
    moved, fees, borrow, _, equity = LEDGER.T
    before = np.append(100_000.0, equity[:-1])
    assert trades.equity * 100_000.0 == pytest.approx(equity, rel=1e-13)
    assert trades.returns == pytest.approx(equity / before - 1.0, abs=1e-13)
    assert trades.turnover == pytest.approx(moved, abs=1e-13)
    assert trades.costs * before == pytest.approx(fees, abs=1e-9)
    assert trades.borrow * before == pytest.approx(borrow, abs=1e-9)
    assert trades.exposure == pytest.approx(np.abs(WEIGHTS).sum(axis=1))
    assert trades.invested.tolist() == [True] * 4 + [False] + [True] * 5
    assert trades.last.tolist() == WEIGHTS[-1].tolist()


def test_the_ledger_in_dollars_adds_up():
    _, fees, borrow, gain, equity = LEDGER.T
    assert np.append(100_000.0, equity[:-1]) + gain - fees - borrow == pytest.approx(equity, abs=1e-9)
