"""The command ``nbnas train``."""

import argparse
from pathlib import Path

from nbnas.training import build_network, change_recipe, get_recipe, load_data, train
from nbnas.training.processes import is_first_process


def add_train(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("train", help="train a found network by a published recipe, resumable")
    parser.add_argument("space", help="search space, e.g. zen_resnet")
    parser.add_argument("arch", help="architecture, e.g. a structure string")
    parser.add_argument("--dataset", default="cifar10", help="cifar10, cifar100 or imagenet (default: %(default)s)")
    parser.add_argument("--recipe", help="cifar, imagenet or imagenet_150_epochs (default: the data set's)")
    parser.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="change the recipe, e.g. -p epochs 30",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run; a rerun goes on there")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of data sets (default: $NBNAS_DATA)")
    parser.add_argument("--train-images", type=int, metavar="N", help="train on N of the images")
    parser.add_argument("--test-images", type=int, metavar="N", help="test with N of the images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare images (default: %(default)s)")
    steps = "steps between checkpoints (default: %(default)s)"
    parser.add_argument("--checkpoint-steps", type=int, default=1000, metavar="N", help=steps)
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> None:
    name = options.recipe or ("imagenet" if options.dataset == "imagenet" else "cifar")
    recipe = change_recipe(get_recipe(name), dict(options.parameter))
    data = load_data(options.dataset, recipe.resolution, options.data, options.train_images, options.test_images)
    metrics = train(
        build_network(options.space, options.arch, data.num_classes, recipe),
        data,
        recipe,
        options.output,
        network=f"{options.space} {options.arch}",
        seed=options.seed,
        device=options.device,
        workers=options.workers,
        checkpoint_steps=options.checkpoint_steps,
        progress=not options.no_progress,
    )
    if is_first_process():
        accuracies = metrics["test_top1"]
        print(
            f"test accuracy {accuracies.iloc[-1]:.2f} % after {len(metrics)} epochs (best {accuracies.max():.2f} %), "
            f"{metrics['seconds'].mean():.3g} s per epoch; wrote {options.output}"
        )
