"""Horses in the admin."""

from django.contrib import admin

from horses.models import Horse


@admin.register(Horse)
class HorseAdmin(admin.ModelAdmin):
    """A list that can be searched."""

    list_display = ("name", "stall", "arrived_at")
    search_fields = ("name",)
