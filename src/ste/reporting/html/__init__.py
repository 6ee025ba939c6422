"""Self-contained HTML pages: functions from values to text."""

from ste.reporting.html.leaderboard import Board, BoardRow, render_leaderboard
from ste.reporting.html.report_data import MemberRow, ReportData
from ste.reporting.html.report_page import render_report

__all__ = ["Board", "BoardRow", "MemberRow", "ReportData", "render_leaderboard", "render_report"]
