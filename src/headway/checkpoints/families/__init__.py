"""One file a family of models. A module in this folder that defines `FAMILY` is all that it takes to be supported."""
