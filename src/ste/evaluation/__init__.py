"""What a model's probabilities are worth, and beside what."""
