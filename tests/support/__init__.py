"""What the end-to-end tests share: a collector to start and kill, the campaign, and its ground truth."""
