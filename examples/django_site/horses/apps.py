"""What Django knows of this app."""

from django.apps import AppConfig


class HorsesConfig(AppConfig):
    """The horses in the stable."""

    name = "horses"
