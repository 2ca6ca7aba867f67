"""Many runs of one recipe: trials from a file, each in a folder of its own, on Ray, into one table and one plot."""
