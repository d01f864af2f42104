"""`headway settings`."""

from rich.console import Console
from rich.table import Table

from headway.settings import Settings

__all__ = ["settings_command"]


def settings_command() -> None:
    """Print every setting: its name, its default, and what it does."""
    table = Table("setting", "default", "what it does", box=None, header_style="bold", pad_edge=False)
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else str(field.default)
        table.add_row(name, default, field.description or "")
    Console(highlight=False).print(table)
