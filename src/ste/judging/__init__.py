"""Judge predictions of other tools: read them, find their truth and baselines, and score them as a run's are."""
