"""Which sweep this process runs, for the words of a command that is ended inside a step."""

run_id = ""  # of the sweep's run; "" while there is none
