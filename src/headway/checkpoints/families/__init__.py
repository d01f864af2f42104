"""One file per family of models. A module in this folder that defines `FAMILY` is all that a family needs."""
