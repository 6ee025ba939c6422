"""The one training step, what it optimises with, and what it reports."""
