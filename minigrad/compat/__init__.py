"""What a script asks of torch besides computing: switches, devices, processes, compilers.

Each module here is what `torch.<its name>` gives a script that runs on minigrad; `imports` makes the names resolve.
Where there is nothing behind a name, using it is an error that says so.
"""
