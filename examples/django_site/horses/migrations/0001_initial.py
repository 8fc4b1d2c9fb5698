"""The first tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Horse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, unique=True)),
                ("stall", models.PositiveIntegerField()),
                ("arrived_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("stall",),
            },
        ),
    ]
