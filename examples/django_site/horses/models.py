"""What is kept in the database."""

from django.db import models


class Horse(models.Model):
    """A horse and its stall."""

    name = models.CharField(max_length=60, unique=True)
    stall = models.PositiveIntegerField()
    arrived_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Order of lists."""

        ordering = ("stall",)

    def __str__(self) -> str:
        return f"{self.name} in stall {self.stall}"
