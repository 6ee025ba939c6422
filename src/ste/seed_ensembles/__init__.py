"""Many replicas of one net, trained at once as one batched computation."""
