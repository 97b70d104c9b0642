"""Training-free scores of a network, one module per published method."""

from nbnas.proxies import size, vkdnw
from nbnas.proxies.registry import Batch, DegenerateScoreError, ProxyInfo, list_proxies, register, select_proxies

__all__ = ["Batch", "DegenerateScoreError", "ProxyInfo", "list_proxies", "register", "select_proxies", "size", "vkdnw"]
