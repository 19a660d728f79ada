"""Who proposes students, and which of them go on."""
