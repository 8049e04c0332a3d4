"""One function for each Invoke task: resolve the options, call the engine, print the result."""
