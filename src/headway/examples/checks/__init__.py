"""What is wrong with the data before any training."""
