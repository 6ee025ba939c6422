"""From bars, news, macro and policy figures to weekly tables, splits and windows."""
