"""The worker, a process that runs an engine with the application, and the fork server that makes workers."""
