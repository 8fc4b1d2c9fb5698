"""A guestbook that shows what serves it."""
