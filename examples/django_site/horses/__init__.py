"""The horses in the stable."""
