"""Training-free scores of a network, one module per published method.

Import order is the order of the list of proxies.
"""

from nbnas.proxies import size  # isort: skip
from nbnas.proxies import grad_norm, plain, snip, grasp, synflow, fisher, gradsign, zico, zico_bc  # isort: skip
from nbnas.proxies import jacov, epe_nas, naswot, te_nas, zen, az_nas, vkdnw, tcet  # isort: skip
from nbnas.proxies import near, meco, swap, dextr  # isort: skip
from nbnas.networks.layers import UnsupportedModelError
from nbnas.proxies.probe import Batch, DegenerateScoreError, Probe
from nbnas.proxies.registry import ProxyInfo, forget, list_proxies, only, register, select_proxies

__all__ = [
    "Batch",
    "DegenerateScoreError",
    "Probe",
    "ProxyInfo",
    "UnsupportedModelError",
    "az_nas",
    "dextr",
    "epe_nas",
    "fisher",
    "forget",
    "grad_norm",
    "gradsign",
    "grasp",
    "jacov",
    "list_proxies",
    "meco",
    "naswot",
    "near",
    "only",
    "plain",
    "register",
    "select_proxies",
    "size",
    "snip",
    "swap",
    "synflow",
    "tcet",
    "te_nas",
    "vkdnw",
    "zen",
    "zico",
    "zico_bc",
]
