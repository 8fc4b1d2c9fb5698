"""The door for uWSGI: its command line and files in four formats, every option, its signals, FIFO and touch files."""
