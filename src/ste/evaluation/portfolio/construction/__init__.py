"""Ways to turn the predictions of one date into weights, one file each."""
