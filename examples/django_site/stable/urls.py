"""Routes of the site."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import path, re_path

from horses import views

urlpatterns = [
    path("", views.list_horses),
    path("upload/", views.upload, name="upload"),
    path("stream/", views.stream),
    path("crash/", views.crash),
    path("admin/", admin.site.urls),
    # A site of some size has its static files served in front of the application.
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
]
