"""The project: settings, routes, WSGI application."""
