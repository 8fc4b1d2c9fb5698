"""Files for the programs around Hostler, derived from its configuration: web servers, service managers, containers."""

from hostler.generate.choice import CHOICES, Choice, Choices, build_choices
from hostler.generate.kind import KINDS, Kind, generate
from hostler.generate.model import File, Project
from hostler.generate.project import describe_project
from hostler.generate.write import join_files, write_files

__all__ = [
    "CHOICES",
    "KINDS",
    "Choice",
    "Choices",
    "File",
    "Kind",
    "Project",
    "build_choices",
    "describe_project",
    "generate",
    "join_files",
    "write_files",
]
