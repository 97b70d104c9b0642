"""Training of found networks by the published recipes."""

from nbnas.datasets.images import ImageData, load_data
from nbnas.training.recipe import RECIPES, Recipe, build_network, change_recipe, get_recipe
from nbnas.training.trainer import train

__all__ = ["RECIPES", "ImageData", "Recipe", "build_network", "change_recipe", "get_recipe", "load_data", "train"]
