"""The child process: loads one configuration and answers blocks. Imports no optuna, typer, rich or yaml."""
