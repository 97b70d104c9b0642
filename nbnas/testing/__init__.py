"""Checks for proxies, networks and search spaces of your own."""

from nbnas.testing.network import check_network
from nbnas.testing.proxy import check_proxy
from nbnas.testing.space import check_space

__all__ = ["check_network", "check_proxy", "check_space"]
