from __future__ import annotations

import io

from rich.console import Console

from autotune.cli.console import WIDTH, open_console, print_lines, table_console


def test_names_are_printed_as_they_are_however_narrow_the_terminal() -> None:
    console = open_console()
    console.file, console.width = io.StringIO(), 20
    lines = ["[red]x[/red] :smile: " + "words " * 20, "12 MiB"]
    print_lines(console, lines)
    assert console.file.getvalue().splitlines() == lines


def test_tables_are_wider_than_a_narrow_terminal_and_go_where_the_rest_goes() -> None:
    narrow, wide = (Console(file=io.StringIO(), width=width) for width in (40, WIDTH + 60))
    assert (table_console(narrow).width, table_console(wide).width) == (WIDTH, WIDTH + 60)
    assert table_console(narrow).file is narrow.file
