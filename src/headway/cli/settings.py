"""`headway settings`."""

from rich.console import Console
from rich.table import Table

from headway.settings import Settings

__all__ = ["settings_command"]


def settings_command(task: str | None) -> None:
    """Print every setting, or those of one task: its section, its name, its default, and what it does."""
    hidden = _hidden(task)
    console = Console(highlight=False)
    table = Table("setting", "default", "what it does", box=None, header_style="bold", pad_edge=False)
    section = ""
    for in_section, name, field in Settings.describe():
        if name in hidden:
            continue
        if in_section != section:
            table.add_row(f"[bold]\\[{in_section}][/]", "", "", style="")
            section = in_section
        default = "none" if field.default is None else str(field.default).lower()
        table.add_row(name, default, field.description or "")
    console.print(table)


def _hidden(task: str | None) -> set[str]:
    """The settings that a task does not use."""
    if task is None:
        return set()
    from headway.tasks.registry import find_task, unused_settings

    return unused_settings(find_task(task))
