"""Which column is what; rows become examples; splits and checks."""
