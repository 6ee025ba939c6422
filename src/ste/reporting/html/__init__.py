"""Pages: plain values in, one self-contained HTML text out."""

from ste.reporting.html.leaderboard import Board, BoardRow, print_leaderboard, render_leaderboard
from ste.reporting.html.report_data import MemberRow, ReportData
from ste.reporting.html.report_page import render_report

__all__ = ["Board", "BoardRow", "MemberRow", "ReportData", "print_leaderboard", "render_leaderboard", "render_report"]
