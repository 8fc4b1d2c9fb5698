"""The role that tells others of the server's numbers: it reads the scoreboard, serves pages and pushes."""
