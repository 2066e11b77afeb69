from __future__ import annotations

import pytest

from autotune.core import variables
from autotune.core.variables import handed_on


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "TORCH_HOME", "XDG_CACHE_HOME", "TRANSFORMERS_OFFLINE", "TRANSFORMERS_CACHE"),
        *("HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"),
        *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    ],
)
def test_where_things_lie_and_how_the_network_is_reached_is_handed_on(name: str) -> None:
    assert handed_on({name: "here"}) == {name: "here"}


@pytest.mark.parametrize(
    "name",
    [
        "OMP_NUM_THREADS",
        "LD_PRELOAD",
        "PYTHONPATH",
        "MODEL_DIR",
        "RANK",
        "PYTHONHASHSEED",
        "ATEN_CPU_CAPABILITY",
        "THF_",
    ],
)
def test_others_are_only_if_they_are_named(name: str) -> None:
    assert handed_on({name: "here", "PATH": "/bin"}) == {"PATH": "/bin"}
    assert handed_on({name: "here"}, [name]) == {name: "here"}


def test_what_is_named_and_not_set_is_not_there() -> None:
    assert handed_on({"PATH": "/bin"}, ["MODEL_DIR"]) == {"PATH": "/bin"}


def test_nothing_that_is_handed_on_is_read_by_a_runtime() -> None:
    assert not [name for name in variables.INHERITED if name.startswith(variables.READ_BY_RUNTIMES)]


def test_proxies_and_tokens_may_be_secret() -> None:
    secret = [name for name in ("https_proxy", "HF_TOKEN", "PATH", "TORCH_HOME") if variables.may_be_secret(name)]
    assert secret == ["https_proxy", "HF_TOKEN"]
