"""A chat over a WebSocket, with a stream of events beside it."""
