"""Exchange sessions and weeks, and a market's daily sources in memory."""
