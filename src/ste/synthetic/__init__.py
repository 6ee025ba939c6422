"""Synthetic markets whose law is known: what they draw, and what a perfect model would know."""
