"""How figures and tables name rows, data sets and metrics."""

_NAMES = {
    "kendall_tau": "Kendall's τ",
    "spearman_rho": "Spearman's ρ",
    "ndcg_1000": "nDCG@1000",
    "partial_kendall_tau": "partial τ",
    "top1": "top-1 accuracy (%)",
    "flops_millions": "FLOPs (millions)",
    "gpu_days": "GPU days",
    "gpu_hours": "GPU hours",
    "params_millions": "parameters (millions)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet16-120": "ImageNet16-120",
    "imagenet-1k": "ImageNet-1k",
    "nats-tss": "NAS-Bench-201",
    "nats-sss": "NATS-Bench size space",
    "nb-macro": "NAS-Bench-Macro",
    "blox": "BLOX",
    "nds": "NDS",
    "nb-1shot1": "NAS-Bench-1Shot1",
    "trainable_layers": "number of layers",
    "class_scene": "TransNAS, scenes",
    "class_object": "TransNAS, objects",
    "jigsaw": "TransNAS, jigsaw",
    "ss1": "1Shot1 space 1",
    "ss2": "1Shot1 space 2",
    "ss3": "1Shot1 space 3",
    "flops": "FLOPs",
    "jacov": "Jacov",
    "vkdnw": "VKDNW_single",
    "vkdnw_rank": "VKDNW_single",
    "vkdnw_dim": "No. of trainable layers (ℵ)",
    "vkdnw_comb": "VKDNW_agg",
    "model_graf": "GRAF",
    "model_vkdnw+zs+graf": "(VKDNW+ZCS+GRAF)_m",
    "model_vkdnw+zs": "(VKDNW+ZCS)_m",
    "model_vkdnw": "VKDNW_m",
    "grad_norm": "GradNorm",
    "te_nas": "TE-NAS",
    "az_nas": "AZ-NAS",
    "snip_snr": "SNIP-SNR",
    "synflow_snr": "SynFlow-SNR",
    "tcet_snip": "T-CET(SNIP)",
    "tcet_synflow": "T-CET(SynFlow)",
    "vkdnw_single": "VKDNW_single",
    "vkdnw_agg": "VKDNW_agg",
    "X_vs_combination": "ρ of X and the combination",
    "Y_vs_combination": "ρ of Y and the combination",
    "damaged_top": "damaged top",
    "perfect_top": "perfect top",
    "row_key": "row",
    "column": "data set",
    "published_deviation": "published deviation",
}


def readable(name: str) -> str:
    """Return the name of a row, data set or metric as readers know it.

    >>> readable("nats-tss, cifar100"), readable("flops_jacov_"), readable("kendall_tau")
    ('NAS-Bench-201, CIFAR-100', 'FLOPs · Jacov', "Kendall's τ")
    """
    if name.endswith("_"):  # Parts of a combination, as the authors' notebooks name it.
        return " · ".join(_NAMES.get(part, part) for part in name.removesuffix("_").split("_"))
    return ", ".join(_NAMES.get(part, part) for part in name.split(", "))
