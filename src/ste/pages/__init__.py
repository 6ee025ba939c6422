"""Pages: plain values in, one self-contained HTML text out."""

from ste.pages.contents import MemberRow, ReportData
from ste.pages.leaderboard import Board, BoardRow, print_leaderboard, render_leaderboard
from ste.pages.report import render_report

__all__ = ["Board", "BoardRow", "MemberRow", "ReportData", "print_leaderboard", "render_leaderboard", "render_report"]
