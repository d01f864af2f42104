"""Headway beside its peers, on real texts, in one run."""
