"""Compile the runtime for a target and run what came out: on this machine, under an emulator, on a board by ssh."""
