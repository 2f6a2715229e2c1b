"""The operators of torchvision."""
