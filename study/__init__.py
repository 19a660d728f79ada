"""What decides, launches and remembers: configuration, command line, stages, search, cluster."""
