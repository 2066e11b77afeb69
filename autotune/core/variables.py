"""Environment variables by what they can change: those that a child gets, and those that only a study may set.

A child gets what cannot change a measurement: where things lie, how the network is reached, the language. The space
file may name others, `workload.env`, but none that a runtime reads: these are settings, and a study sets them itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

PYTHONPATH = "PYTHONPATH"
"""Handed on where the space file names it, behind our own entry."""

PROXIES = tuple(
    spelled for name in ("http", "https", "ftp", "all", "no") for spelled in (f"{name}_proxy", f"{name.upper()}_PROXY")
)

INHERITED = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CC", "CXX"),
    *("XDG_CACHE_HOME", "TORCH_HOME", "TRANSFORMERS_CACHE", "TRANSFORMERS_OFFLINE", "HUGGINGFACE_HUB_CACHE"),
    *("SENTENCE_TRANSFORMERS_HOME", "NLTK_DATA"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *PROXIES,
)
"""The variables of our own environment that a child gets; all others could change what is measured."""

INHERITED_BEGINNING = "HF_"
"""Hugging Face's own: caches, offline switches, tokens, how files are downloaded."""

READ_BY_RUNTIMES = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "ATEN_", "TORCHINDUCTOR_"),
    *("MALLOC_", "TCMALLOC_", "MIMALLOC_", "GLIBC_TUNABLES", "THP_MEM_ALLOC_ENABLE", "LD_PRELOAD"),
)
"""The beginnings of variables that change the speed of a model; a trial has none but its own."""


def handed_on(environ: Mapping[str, str], named: Collection[str] = ()) -> dict[str, str]:
    """The variables that a child gets of these: the inherited ones, and those that the space file names."""
    return {name: value for name, value in environ.items() if is_handed_on(name) or name in named}


def is_handed_on(name: str) -> bool:
    """True if a child gets the variable in any case."""
    return name in INHERITED or name.startswith(INHERITED_BEGINNING)


def may_be_secret(name: str) -> bool:
    """True of an inherited variable that may hold a password or a token."""
    return name in PROXIES or name.startswith(INHERITED_BEGINNING)
