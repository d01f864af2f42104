"""`python -m headway` is `headway`."""

from headway.cli.main import run

if __name__ == "__main__":
    run()
