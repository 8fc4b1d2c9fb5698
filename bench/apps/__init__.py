"""The applications that every server of the benchmark runs: plain WSGI, nothing imported that a case does not need."""
