"""Finds out why a page does not come: along its way from the URL to the application."""

from hostler.doctor.chain import Case, choose_page, diagnose
from hostler.doctor.model import Finding, Page, parse_page
from hostler.doctor.render import Renderer, is_healthy, write_json

__all__ = ["Case", "Finding", "Page", "Renderer", "choose_page", "diagnose", "is_healthy", "parse_page", "write_json"]
