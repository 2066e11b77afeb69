"""autotune finds the fastest correct way to serve a PyTorch model on this CPU, and exports it."""

__version__ = "0.1.0"
__all__ = ["__version__"]
