"""Checks for proxies, networks and search spaces of your own."""

from nbnas.testing.network_and_space import check_network, check_space
from nbnas.testing.proxy import check_proxy

__all__ = ["check_network", "check_proxy", "check_space"]
