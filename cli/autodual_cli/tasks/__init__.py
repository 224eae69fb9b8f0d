"""The work of the commands that do one thing: inspect, train, evaluate, write a page, decide a property."""
