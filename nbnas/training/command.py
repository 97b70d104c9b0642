"""The command ``nbnas train``."""

import argparse
import os
from pathlib import Path

from nbnas.training import build_network, change_recipe, get_recipe, load_data, train


def add_train(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("train", help="train a found network by a published recipe, resumable")
    add = parser.add_argument
    add("space", help="search space, e.g. zen_resnet")
    add("arch", help="architecture, e.g. a structure string")
    add("--dataset", default="cifar10", help="cifar10, cifar100 or imagenet (default: %(default)s)")
    add("--recipe", help="cifar, imagenet or imagenet_150_epochs (default: the data set's)")
    change = {"nargs": 2, "metavar": ("NAME", "VALUE"), "help": "change the recipe, e.g. -p epochs 30"}
    add("-p", "--parameter", action="append", default=[], **change)
    add("-o", "--output", type=Path, required=True, help="folder of the run; a rerun goes on there")
    add("--data", type=Path, metavar="DIR", help="folder of data sets (default: $NBNAS_DATA)")
    add("--train-images", type=int, metavar="N", help="train on N of the images")
    add("--test-images", type=int, metavar="N", help="test with N of the images")
    add("--seed", type=int, default=0)
    add("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add("--workers", type=int, default=0, help="processes that prepare images (default: %(default)s)")
    add("--checkpoint-steps", type=int, default=1000, metavar="N", help="between checkpoints (default: %(default)s)")
    add("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> None:
    name = options.recipe or ("imagenet" if options.dataset == "imagenet" else "cifar")
    recipe = change_recipe(get_recipe(name), dict(options.parameter))
    data = load_data(options.dataset, recipe.resolution, options.data, options.train_images, options.test_images)
    network = build_network(options.space, options.arch, data.num_classes, recipe)
    how = {name: getattr(options, name) for name in ("seed", "device", "workers", "checkpoint_steps")}
    how |= {"network": f"{options.space} {options.arch}", "progress": not options.no_progress}
    metrics = train(network, data, recipe, options.output, **how)
    # Of the processes that torchrun starts, number 0 speaks.
    if os.environ.get("RANK", "0") == "0":
        last, best = metrics["test_top1"].iloc[-1], metrics["test_top1"].max()
        trained = f"{len(metrics)} epochs (best {best:.2f} %), {metrics['seconds'].mean():.3g} s per epoch"
        print(f"test accuracy {last:.2f} % after {trained}; wrote {options.output}")
