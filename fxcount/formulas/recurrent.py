"""Recurrent networks: their gates' matrix products, every step, layer and direction."""
