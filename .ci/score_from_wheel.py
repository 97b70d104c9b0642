"""What `make wheel` runs in an environment that has the built wheel and nothing else: score a network."""

import sys
from pathlib import Path

import torch

import nbnas

folder = Path(nbnas.__file__).parent
assert "site-packages" in folder.parts, f"not the installed wheel: {folder}"
network = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 10)
)
scores = nbnas.score(network, ["vkdnw_entropy", "tcet_snip", "flops"], input_shape=(8, 3, 16, 16))
print(scores)
assert set(scores["status"]) == {"ok"}
assert nbnas.get_space("nasbench201").params("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|") > 0
assert not {"matplotlib", "papermill", "sklearn", "pytest"} & set(sys.modules)
