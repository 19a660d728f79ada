"""What a study concludes: tables, fronts, hypervolume, figures and the report, read from its records alone."""
